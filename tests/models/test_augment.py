"""Presets keep boxes on their objects, labels in step, and draw from torch's global generator alone."""

import pytest
import torch
from torch import Tensor
from torchvision.tv_tensors import BoundingBoxes

from models.augment import PRESETS, VISIBLE, Reframe, augmentation
from models.runtime.faults import Fault

HEIGHT, WIDTH = 96, 128


def scene(*boxes):
    """A dark picture with a bright rectangle where each box is, and its target."""
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    for x0, y0, x1, y1 in boxes:
        image[:, y0:y1, x0:x1] = 255
    framed = BoundingBoxes(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), format="XYXY", canvas_size=(HEIGHT, WIDTH)
    )
    return image, {"boxes": framed, "labels": torch.arange(len(boxes))}


@pytest.mark.parametrize("task", PRESETS)
@pytest.mark.parametrize("preset", ["none", "light", "flip", "strong"])
def test_size_and_type_stay(task, preset):
    image, target = scene((20, 20, 60, 60), (70, 10, 120, 80))
    target = target if task == "detection" else torch.tensor([0.0, 1.0])
    for seed in range(5):
        torch.manual_seed(seed)
        varied, after = augmentation(preset, task)(image, target)
        assert varied.shape == image.shape and varied.dtype == torch.uint8
        if task == "classification":
            assert after is target
        else:
            assert after["boxes"].shape == (len(after["labels"]), 4)
            assert after["labels"].dtype == torch.int64


@pytest.mark.parametrize("preset", ["light", "flip", "strong"])
def test_boxes_move_with_what_they_frame(preset):
    vary = augmentation(preset, "detection")
    seen = 0
    for seed in range(20):
        image, target = scene((40, 30, 80, 70))
        torch.manual_seed(seed)
        varied, after = vary(image, target)
        for box in after["boxes"].as_subclass(Tensor).round().int().tolist():
            x0, y0, x1, y1 = box
            inside = varied[:, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].float()
            assert inside.numel() and inside.min() > 60, f"seed {seed}: the box holds ground"
            seen += 1
    assert seen >= 15


def test_boxes_that_leave_the_picture_go_with_their_labels():
    image, target = scene((0, 0, 20, 20), (54, 38, 74, 58), (108, 76, 128, 96))
    zoomed = Reframe((2.0, 2.0), 1.0)
    lost = 0
    for seed in range(20):
        torch.manual_seed(seed)
        _, after = zoomed(image, target)
        areas = (after["boxes"][:, 2:] - after["boxes"][:, :2]).prod(-1)
        assert (areas >= VISIBLE * 40 * 40 * 0.95).all()
        assert after["boxes"].min() >= 0 and (after["boxes"][:, 2] <= WIDTH).all()
        middle = after["boxes"][after["labels"] == 1]
        assert len(middle) == 1, "what is in the middle stays in a window of half the size"
        lost += 3 - len(after["labels"])
    assert lost >= 20


@pytest.mark.parametrize(("preset", "whole"), [("light", 0.5), ("flip", 0.5), ("strong", 0)])
def test_of_a_detectors_pictures_half_are_seen_whole(preset, whole):
    vary, kept = augmentation(preset, "detection"), 0
    for seed in range(200):
        torch.manual_seed(seed)
        _, after = vary(*scene((50, 40, 60, 50)))
        boxes = after["boxes"].as_subclass(Tensor)
        kept += (boxes[:, 2:] - boxes[:, :2]).tolist() == [[10, 10]]
    assert kept / 200 == pytest.approx(whole, abs=0.1)


def test_a_picture_without_boxes_stays_one():
    image, target = scene()
    _, after = augmentation("strong", "detection")(image, target)
    assert after["boxes"].shape == (0, 4) and after["labels"].shape == (0,)


def test_only_flip_and_strong_mirror():
    image, target = scene((0, 0, 64, 96))  # bright left half
    for preset, may in [("light", False), ("flip", True), ("strong", True)]:
        mirrored = 0
        for seed in range(12):
            torch.manual_seed(seed)
            varied, _ = augmentation(preset, "detection")(image, target)
            columns = varied.float().mean((0, 1))
            mirrored += bool(columns[-8:].mean() > columns[:8].mean() + 100)
        assert bool(mirrored) is may, preset


def test_the_same_seed_gives_the_same_picture():
    image, target = scene((20, 20, 60, 60))
    vary = augmentation("strong", "detection")
    torch.manual_seed(3)
    first, boxes = vary(image, target)
    torch.manual_seed(3)
    second, again = vary(image, target)
    assert torch.equal(first, second) and torch.equal(boxes["boxes"], again["boxes"])
    torch.manual_seed(4)
    assert not torch.equal(first, vary(image, target)[0])


def test_an_unknown_preset():
    with pytest.raises(Fault, match=r"no preset 'flips'\. Known: flip, light, none, strong\. Did you mean 'flip'"):
        augmentation("flips", "detection")
