"""From a decoded picture to the tensor a network sees: the same steps in training and in prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

STRIDE = 32  # the coarsest step of any detector here; sides are padded to a multiple of it


def fit(image: Image.Image, type: str, image_size: int) -> torch.Tensor:
    """(3, H, W) uint8 at the size the network works on.

    A classifier sees the whole picture squeezed into a square of `image_size`; a detector sees it in its
    own proportions, the longer side `image_size`. Antialiased, so that shrinking loses no thin strokes.
    """
    size = (image_size, image_size) if type != "visual-detector" else _longer_side(image.size, image_size)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _longer_side(size: tuple[int, int], longest: int) -> tuple[int, int]:
    width, height = size
    scale = longest / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def stack(images: Sequence[torch.Tensor], mean: Sequence[float]) -> torch.Tensor:
    """(N, 3, H, W) uint8: padded right and below to one size, a multiple of STRIDE, with the mean colour."""
    height = _up(max(image.shape[1] for image in images))
    width = _up(max(image.shape[2] for image in images))
    colour = torch.tensor([round(255 * value) for value in mean], dtype=torch.uint8).view(1, 3, 1, 1)
    batch = colour.repeat(len(images), 1, height, width)
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1], : image.shape[2]] = image
    return batch


def canvas(image: torch.Tensor) -> tuple[int, int]:
    """The (height, width) to which `stack` pads this picture when it is alone."""
    return _up(image.shape[1]), _up(image.shape[2])


def _up(side: int) -> int:
    return -(-side // STRIDE) * STRIDE


def normalise(batch: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """(N, 3, H, W) uint8 as float32, by channel: (value / 255 - mean) / std."""
    shape = (1, 3, 1, 1)
    means = torch.tensor(mean, device=batch.device).view(shape)
    deviations = torch.tensor(std, device=batch.device).view(shape)
    scaled = batch.to(torch.float32) / 255
    return ((scaled - means) / deviations).contiguous(memory_format=torch.channels_last)
