"""A picture reaches the network in its own proportions (detector) or squeezed into a square (classifier)."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.runtime.transform import STRIDE, canvas, fit, normalise, stack

MEAN, STD = (0.5, 0.25, 0.0), (0.5, 0.25, 0.1)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((640, 480), (3, 240, 320)),
        ((480, 640), (3, 320, 240)),
        ((100, 100), (3, 320, 320)),  # enlarged too
        ((1000, 3), (3, 1, 320)),
        ((5000, 1), (3, 1, 320)),  # never to nothing
    ],
)
def test_a_detector_keeps_proportions(size, shape):
    assert fit(Image.new("RGB", size), "visual-detector", 320).shape == shape


@pytest.mark.parametrize("size", [(640, 480), (10, 500), (64, 64)])
def test_a_classifier_sees_a_square(size):
    assert fit(Image.new("RGB", size), "visual-classifier", 64).shape == (3, 64, 64)


def test_pixels_stay_where_they_are_and_keep_their_channels():
    pixels = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    tensor = fit(Image.fromarray(pixels), "visual-detector", 64)
    assert tensor.dtype == torch.uint8
    assert (tensor.permute(1, 2, 0).numpy() == pixels).all()


def test_shrinking_loses_no_thin_stroke():
    pixels = np.full((256, 256, 3), 255, np.uint8)
    pixels[:, 129] = 0  # one pixel wide, and seen by no nearest neighbour
    assert fit(Image.fromarray(pixels), "visual-classifier", 32).min() < 240


def test_stack_pads_right_and_below_with_the_mean_colour():
    images = [torch.full((3, 20, 40), 7, dtype=torch.uint8), torch.full((3, 33, 10), 9, dtype=torch.uint8)]
    batch = stack(images, MEAN)
    assert (batch.shape, batch.dtype) == ((2, 3, 64, 64), torch.uint8)
    for row, image in zip(batch, images, strict=True):
        height, width = image.shape[1:]
        assert (row[:, :height, :width] == image).all()
        for padding in (row[:, height:], row[:, :, width:]):
            assert (padding == torch.tensor([128, 64, 0]).view(3, 1, 1)).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (32, 64), (33, 95)])
def test_canvas_is_what_stack_pads_to_alone(height, width):
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    sides = canvas(image)
    assert stack([image], MEAN).shape[2:] == sides
    assert all(
        side % STRIDE == 0 and 0 <= side - given < STRIDE for side, given in zip(sides, image.shape[1:], strict=True)
    )


def test_normalise():
    batch = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    seen = normalise(batch, MEAN, STD)
    assert seen.dtype == torch.float32
    assert seen.flatten().tolist() == pytest.approx([-1.0, 3.0, 2.0])
