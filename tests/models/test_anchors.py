"""Fitted anchors are nearer to the boxes than the template's, level by level, and the same for the same seed."""

import numpy as np
import pytest
import torch

from models.anchors import fitted, overlap
from models.catalog import TEMPLATES
from models.runtime.faults import Fault
from models.runtime.networks import build

WITH = [name for name, entry in TEMPLATES.items() if entry.anchors]


def boxes(count: int = 300) -> np.ndarray:
    """Flat ones, of three kinds, a little uneven."""
    drawn = np.random.default_rng(1)
    kinds = np.array([[60, 12], [90, 30], [160, 40]], dtype=float)
    return kinds[drawn.integers(3, size=count)] * drawn.uniform(0.9, 1.1, (count, 2))


def best(sizes: np.ndarray, anchors: list) -> float:
    return float(overlap(sizes, np.concatenate([np.array(level) for level in anchors])).max(1).mean())


def own(name: str) -> list:
    with torch.device("meta"):
        return [np.round(level.double().numpy(), 2).tolist() for level in build(name, 1, image_size=320).anchors]


@pytest.mark.parametrize("name", WITH)
def test_they_fit_better_and_are_as_many(name):
    sizes, before = boxes(), own(name)
    after = fitted(name, sizes, 320)["anchors"]
    assert [len(level) for level in after] == [len(level) for level in before]
    assert best(sizes, after) > max(0.8, best(sizes, before) + 0.1)
    for level in after:
        areas = [width * height for width, height in level]
        assert areas == sorted(areas) or level in before


def test_the_same_seed_gives_the_same():
    first = fitted("retinanet_resnet50_fpn_v2", boxes(), 320, seed=3)
    assert fitted("retinanet_resnet50_fpn_v2", boxes(), 320, seed=3) == first


def test_a_level_without_boxes_keeps_its_own():
    after = fitted("retinanet_resnet50_fpn_v2", boxes(), 320)["anchors"]
    assert after[-1] == own("retinanet_resnet50_fpn_v2")[-1]  # of 512 pixels and more
    empty = fitted("retinanet_resnet50_fpn_v2", np.zeros((0, 2)), 320)["anchors"]
    assert empty == own("retinanet_resnet50_fpn_v2")


def test_overlap_of_known_sizes():
    found = overlap(np.array([[10.0, 10], [20, 5]]), np.array([[10.0, 10], [10, 5]]))
    np.testing.assert_allclose(found, [[1, 0.5], [50 / 150, 0.5]])


@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_a_network_is_built_with_them(name):
    options = fitted(name, boxes(), 320)
    with torch.device("meta"):
        network = build(name, 2, image_size=320, options=options)
    for level, wanted in zip(network.anchors, options["anchors"], strict=True):
        torch.testing.assert_close(level, torch.tensor(wanted))


def test_a_template_without_anchors():
    with pytest.raises(Fault, match=r"fit_anchors: fcos_light has no anchors"):
        fitted("fcos_light", boxes(), 320)


def test_anchors_of_another_template():
    with pytest.raises(Fault, match=r"its levels have \[15, 15, 15\] anchors a cell, got \[1\]"):
        build("fasterrcnn_mobilenet_v3_large_320_fpn", 2, image_size=320, options={"anchors": [[[3, 4]]]})
