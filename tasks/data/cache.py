"""Decoded pictures, kept in memory that all of a loader's processes share."""

from __future__ import annotations

import mmap
import os

import psutil
import torch
from torch import Tensor

SHARE = 0.25  # of the free memory may hold the decoded pictures of one split


class Decoded:
    """Pictures (3, H, W) uint8 by index, lossless: H and W up to `side`.

    They lie in anonymous shared memory, which worker processes inherit when they are forked: each picture is decoded
    once, by whichever process needs it first, and there is one copy of it, however many processes there are. Pages
    to which nothing was written take no memory. Where not all `count` pictures fit, none is kept.
    """

    def __init__(self, count: int, side: int) -> None:
        self.slot = 3 * side * side  # bytes
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # of a training on several devices: each has its own
        self.fits = 0 < count * self.slot < SHARE * psutil.virtual_memory().available / processes
        if self.fits:
            self._pixels = torch.frombuffer(mmap.mmap(-1, count * self.slot), dtype=torch.uint8).view(count, -1)
            self._sizes = torch.frombuffer(mmap.mmap(-1, count * 8), dtype=torch.int32).view(count, 2)

    def get(self, index: int) -> Tensor | None:
        """The picture, not to be written to; None where it was not put in yet."""
        if not self.fits:
            return None
        height, width = self._sizes[index].tolist()
        if not height:
            return None
        return self._pixels[index, : 3 * height * width].view(height, width, 3).permute(2, 0, 1)

    def put(self, index: int, picture: Tensor) -> None:
        """Keep a picture, where there is room."""
        if not self.fits:
            return
        height, width = picture.shape[1:]
        self._pixels[index, : 3 * height * width] = picture.permute(1, 2, 0).reshape(-1)
        self._sizes[index, 1] = width
        self._sizes[index, 0] = height  # last: a picture that has a height is whole
