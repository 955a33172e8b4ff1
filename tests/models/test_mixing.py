"""Pictures and their targets are mixed in the same shares."""

from __future__ import annotations

import pytest
import torch

from models.mixing import mixing


def batch():
    """Four pictures, each of one value, and the concept of that value."""
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16).clone()
    return images, torch.eye(4)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_a_share_of_a_picture_is_that_share_of_its_targets(mixup, cutmix):
    for seed in range(10):
        torch.manual_seed(seed)
        images, targets = mixing(mixup, cutmix)(*batch())
        assert torch.allclose(targets.sum(1), torch.ones(4))
        assert torch.allclose(images.mean((1, 2, 3)), targets @ torch.arange(4.0), atol=1e-5)


def test_both_come_by_turns_and_draw_from_the_global_generator_alone():
    mixed = mixing(1.0, 1.0)
    kinds = set()
    for seed in range(12):
        torch.manual_seed(seed)
        images, _ = mixed(*batch())
        torch.manual_seed(seed)
        assert torch.equal(images, mixed(*batch())[0])
        kinds.add(bool((images == images.round()).all()))
    assert kinds == {True, False}


def test_neither():
    assert mixing(0, 0) is None
