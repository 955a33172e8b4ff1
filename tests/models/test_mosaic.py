"""Four pictures in one: boxes stay on what they frame."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.tv_tensors import BoundingBoxes

from models.augment import VISIBLE
from models.mosaic import mosaic


def rows():
    """Four dark pictures of 64 × 64 with a bright rectangle each, which a box frames."""
    made = []
    for label in range(4):
        picture = torch.zeros(3, 64, 64, dtype=torch.uint8)
        picture[:, 16:48, 20:52] = 255
        boxes = BoundingBoxes(torch.tensor([[20.0, 16, 52, 48]]), format="XYXY", canvas_size=(64, 64))
        made.append((picture, {"boxes": boxes, "labels": torch.tensor([label])}))
    return made


def test_boxes_frame_the_same_things():
    seen = 0
    for seed in range(20):
        torch.manual_seed(seed)
        picture, target = mosaic(rows(), 64)
        assert (picture.shape, picture.dtype) == ((3, 64, 64), torch.uint8)
        assert len(target["boxes"]) == len(target["labels"])
        for x0, y0, x1, y1 in target["boxes"].as_subclass(Tensor).round().int().tolist():
            inside = picture[:, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].float()
            assert inside.numel() == 0 or inside.min() > 200, seed
            seen += inside.numel() > 0
    assert seen > 40


def test_what_is_mostly_cut_off_goes_with_its_label():
    counts = set()
    for seed in range(30):
        torch.manual_seed(seed)
        _, target = mosaic(rows(), 64)
        boxes = target["boxes"].as_subclass(Tensor)
        assert ((boxes >= 0) & (boxes <= 64)).all()
        assert ((boxes[:, 2:] - boxes[:, :2]).prod(-1) >= VISIBLE * 15 * 15).all()
        counts.add(len(boxes))
    assert min(counts) < 4


def test_pictures_without_boxes():
    empty = [(picture, {"boxes": target["boxes"][:0], "labels": target["labels"][:0]}) for picture, target in rows()]
    _, target = mosaic(empty, 64)
    assert target["boxes"].shape == (0, 4)
