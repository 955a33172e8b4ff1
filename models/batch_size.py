"""How large a batch may be: what a training step keeps for its backward pass, counted, against the memory there is."""

from __future__ import annotations

import copy
from typing import Any

import psutil
import torch
from torch import Tensor

from models.learner import Learner

MEMORY_SHARE = 0.5  # of what is free may be used
MOST = 1024
LEAST_STEPS = 8  # an epoch: a batch that is a large part of the split learns too little from it
COPIES = 5  # of the weights: themselves, gradients, their average, and two moments of AdamW
PASSING = 1.5  # what lives for a moment in the backward pass, on top of what is kept


def largest(module: Learner, small: Any, large: Any, pictures: int) -> int:
    """The most pictures a step, a power of two, that fit in half of the free memory and leave an epoch LEAST_STEPS.

    small, large: two batches that differ in the number of their pictures alone. `pictures`: an epoch has so many.
    The module is left as it was.
    """
    count, more = len(small[0]), len(large[0])
    kept = [_kept(module, batch) for batch in (small, large)]
    each = max(1.0, (kept[1] - kept[0]) / (more - count))
    weights = sum(weight.nbytes for weight in module.parameters())
    room = MEMORY_SHARE * _free() - COPIES * weights
    fitting = min(MOST, int(room / (PASSING * each)), pictures // LEAST_STEPS)
    return 2 ** (max(2, fitting).bit_length() - 1)  # of one picture, batch-norm would have nothing to compare


def _free() -> int:
    """Bytes of memory free where a training will run."""
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else psutil.virtual_memory().available


def _kept(module: Learner, batch: Any) -> int:
    """Bytes that a training step keeps for its backward pass, beside the weights."""
    own = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
    seen: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    before = copy.deepcopy(module.state_dict())
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        step = module.training_step(batch, 0)
        del step
    module.load_state_dict(before)
    return sum(seen.values())
