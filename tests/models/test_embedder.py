"""An embedder learns that alike pictures are near, by an angle that is wider for the own concept."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from models.embedder import AngularMargin, Embedder, RecallOfNearest
from models.parameters import parameters
from models.runtime import networks
from models.training import fit
from tasks.data.loading import loader
from tests.drawn import SHAPES, shapes


def given(**more):
    smallest = {"template": "angular_margin", "backbone": "resnet18", "image_size": 32, "batch_size": 4}
    return parameters(smallest | {"embedding_size": 8, "precision": "float32"} | more)


def test_without_a_margin_it_is_the_cross_entropy_of_scaled_cosines():
    torch.manual_seed(0)
    head = AngularMargin(6, 4, scale=20, margin=0)
    vectors, targets = functional.normalize(torch.randn(5, 6)), functional.one_hot(torch.tensor([0, 1, 2, 3, 0]), 4)
    cosine = vectors @ functional.normalize(head.centres).T
    expected = functional.cross_entropy(20 * cosine, targets.argmax(1))
    assert torch.allclose(head(vectors, targets.float()), expected)


def test_the_margin_widens_the_angle_to_the_own_concept_alone():
    head = AngularMargin(2, 2, scale=1, margin=0.3)
    head.centres.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    angle = 0.5
    loss = head(torch.tensor([[math.cos(angle), math.sin(angle)]]), torch.tensor([[1.0, 0.0]]))
    own, other = math.cos(angle + 0.3), math.sin(angle)
    assert loss.item() == pytest.approx(-math.log(math.exp(own) / (math.exp(own) + math.exp(other))), abs=1e-6)


def test_beyond_half_a_turn_a_picture_is_still_pulled_back():
    head = AngularMargin(2, 2, scale=1, margin=0.5)
    head.centres.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    far = torch.tensor([[math.cos(3.1), math.sin(3.1)]], requires_grad=True)
    head(far, torch.tensor([[1.0, 0.0]])).backward()
    assert torch.isfinite(far.grad).all() and far.grad[0, 0] < 0  # down the slope is towards its concept


def test_the_nearest_is_counted_over_all_batches_and_never_oneself():
    metric = RecallOfNearest()
    vectors = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.2, 1.0], [1.0, 1.1]]))
    labels = torch.tensor([0, 0, 1, 1, 2])  # the last one's label no other has: it does not count
    metric.update(vectors[:2], labels[:2])
    metric.update(vectors[2:], labels[2:])
    assert float(metric.compute()) == 1.0
    other = RecallOfNearest()
    other.update(vectors, torch.tensor([0, 1, 1, 0, 2]))
    assert float(other.compute()) == 0.0
    none = RecallOfNearest()
    none.update(vectors[:2], torch.tensor([0, 1]))
    assert float(none.compute()) == 0.0


def test_it_learns_to_tell_shapes_apart_and_its_margin_stays_out_of_the_network(tmp_path):
    dataset = shapes(tmp_path / "data", train=16, val=8, size=32)
    wanted = given(epochs=4, augmentation="none", learning_rate=3e-3, warmup_steps=2, ema_decay=0)
    module = Embedder(wanted, SHAPES)
    batches, unvaried = (
        loader(dataset, split, "visual-embedder", wanted, vary=split == "train") for split in ("train", "val")
    )
    history = fit(module, batches, unvaried, wanted, tmp_path / "work")
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert max(row["val_recall_1"] for row in history if "val_recall_1" in row) >= 0.75
    plain = networks.build("angular_margin", 2, image_size=32, options=wanted.network_options)
    left = set(module.network.state_dict()) - set(plain.state_dict())
    assert left == {"margin.centres"}


def test_the_same_seed_starts_from_the_same_margin():
    first, second, other = (Embedder(given(seed=seed), SHAPES) for seed in (1, 1, 2))
    assert torch.equal(first.network.margin.centres, second.network.margin.centres)
    assert not torch.equal(first.network.margin.centres, other.network.margin.centres)
