"""Operators that make pictures from pictures: cut out, resized, turned."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from ..predictions import Array, Regions
from .operator import IMAGE, PICTURES, REGIONS, Operator, Port
from .views import View, Views

RESAMPLING = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}


class ImageCrop(Operator):
    """Cut each region out of the picture."""

    takes: ClassVar[dict[str, Port]] = {"image": IMAGE, "regions": REGIONS}
    gives: ClassVar[str] = "images"

    margin: Annotated[float, Field(gt=0, le=10)] = 1.0
    """By which a region's sides are multiplied, around its middle, before it is cut: 1.3 adds 15 % on each side."""
    square: bool = False
    """Whether to cut a square around the region, as long as its longer side: a classifier squeezes what is none."""

    def __call__(self, image: View, regions: Regions) -> Views:
        boxes = squared(regions.boxes) if self.square else regions.boxes
        boxes = image.boxes_from_source(enlarged(boxes, self.margin))
        return Views(tuple(image.cut(box) for box in boxes), regions)


class ImageResize(Operator):
    """Make pictures larger or smaller."""

    takes: ClassVar[dict[str, Port]] = {"image": PICTURES}
    gives: ClassVar[str] = "image"

    side: Annotated[int, Field(ge=1, le=16384)] = 640
    """Pixels of the side named by `which`; the other one follows, so that shapes stay."""
    which: Literal["longer", "shorter", "width", "height"] = "longer"
    """The side that gets this length."""
    filter: Literal["nearest", "bilinear"] = "bilinear"
    """How new pixels come from old ones; made smaller, bilinear means over all that a pixel covers."""

    def __call__(self, image: View | Views) -> View | Views:
        return each(image, self._resized)

    def _resized(self, view: View) -> View:
        width, height = view.image.size
        sides = {"longer": max(width, height), "shorter": min(width, height), "width": width, "height": height}
        times = self.side / sides[self.which]
        size = (max(1, round(width * times)), max(1, round(height * times)))
        back = np.array([[width / size[0], 0, 0], [0, height / size[1], 0]])
        return view.changed(view.image.resize(size, RESAMPLING[self.filter]), back)


class ImageRotate(Operator):
    """Turn pictures; what is found in them comes back in the unturned picture's pixels."""

    takes: ClassVar[dict[str, Port]] = {"image": PICTURES}
    gives: ClassVar[str] = "image"

    degrees: Annotated[float, Field(ge=-360, le=360)] = 90.0
    """Counter-clockwise. By multiples of 90 no pixel changes; by others the picture grows, its corners grey."""

    def __call__(self, image: View | Views) -> View | Views:
        return each(image, self._turned)

    def _turned(self, view: View) -> View:
        turned = view.image.rotate(self.degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=(128, 128, 128))
        angle = np.deg2rad(self.degrees)
        cosine, sine = np.round([np.cos(angle), np.sin(angle)], 12)
        turn = np.array([[cosine, -sine], [sine, cosine]])  # y points down: back is counter-clockwise in these axes
        old, new = np.array(view.image.size) / 2, np.array(turned.size) / 2
        return view.changed(turned, np.column_stack([turn, old - turn @ new]))


def each(pictures: View | Views, change) -> View | Views:
    """A view changed, or each of several."""
    if isinstance(pictures, View):
        return change(pictures)
    return Views(tuple(map(change, pictures.views)), pictures.regions)


def squared(boxes: Array) -> Array:
    """(N, 4) float64 xyxy: each as long as its longer side both ways, around its middle."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([middles - half, middles + half], axis=1)


def enlarged(boxes: Array, times: float) -> Array:
    """(N, 4) xyxy with their sides multiplied, around their middles."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * times
    return np.concatenate([middle - half, middle + half], axis=1)
