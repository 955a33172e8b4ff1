"""The largest batch that fits, counted."""

from __future__ import annotations

import torch

from models import batch_size
from models.batch_size import largest
from models.classifier import Classifier
from models.parameters import ClassifierParameters


def module() -> Classifier:
    return Classifier(ClassifierParameters(image_size=32), ("a", "b"))


def batch(count: int):
    return torch.zeros(count, 3, 32, 32, dtype=torch.uint8), torch.eye(2)[[0] * count]


def test_twice_the_memory_takes_twice_the_batch(monkeypatch):
    sizes = []
    for free in (2**28, 2**29, 2**30):
        monkeypatch.setattr(batch_size, "_free", lambda free=free: free)
        sizes.append(largest(module(), batch(2), batch(4), 10**6))
    assert sizes[0] >= 8
    assert sizes[1] in (sizes[0] * 2, sizes[0] * 4)  # the weights weigh less, and it is a power of two
    assert sizes[2] == min(1024, sizes[1] * 2)


def test_an_epoch_keeps_some_steps_and_a_batch_has_two_pictures(monkeypatch):
    monkeypatch.setattr(batch_size, "_free", lambda: 2**34)
    assert largest(module(), batch(2), batch(4), 100) == 8
    monkeypatch.setattr(batch_size, "_free", lambda: 0)
    assert largest(module(), batch(2), batch(4), 100) == 2


def test_the_module_is_left_as_it_was():
    made = module()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    largest(made, batch(2), batch(4), 100)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in made.parameters())
