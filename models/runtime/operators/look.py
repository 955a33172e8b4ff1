"""Operators about how pictures look: what colours they have, parts made unrecognisable, what was found drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from PIL import Image, ImageFilter
from pydantic import Field

from ..predictions import Array, Clusters, Concepts, Regions
from .colors import named
from .drawing import draw
from .edit import enlarged
from .findings import Colors
from .operator import IMAGE, REGIONS, Operator, Port
from .views import View, Views

SEEN = 128  # pixels of the longer side that colours are counted in
LONGEST = "<U20"  # letters of the longest W3C name, lightgoldenrodyellow


class ColorRecognizer(Operator):
    """Name the colours that a picture mostly has."""

    takes: ClassVar[dict[str, Port]] = {"image": IMAGE}
    gives: ClassVar[str] = "colors"

    most: Annotated[int, Field(ge=1, le=16)] = 5
    """How many colours a picture is reduced to."""

    def __call__(self, image: View) -> Colors:
        return main_colors(image.image, self.most)


class RegionColors(Operator):
    """Name the main colour of each crop, as its region's `color`."""

    takes: ClassVar[dict[str, Port]] = {"images": Port(("images",))}
    gives: ClassVar[str] = "regions"

    most: Annotated[int, Field(ge=1, le=16)] = 5
    """How many colours a crop is reduced to before the most frequent is taken; fewer mix more into one."""

    def __call__(self, images: Views) -> Regions:
        names = [main_colors(view.image, self.most).names[0] for view in images.views]
        return replace(images.regions, more={**images.regions.more, "color": np.array(names, LONGEST)})


class Blur(Operator):
    """Make regions of a picture unrecognisable: as coarse as the radius first, which cannot be undone, then smooth."""

    takes: ClassVar[dict[str, Port]] = {"image": IMAGE, "regions": REGIONS}
    gives: ClassVar[str] = "image"

    radius: Annotated[float, Field(ge=0.02, le=1)] = 0.12
    """Of what is smeared, as a share of a region's longer side: .12 leaves 8 spots of colour along it."""
    margin: Annotated[float, Field(gt=0, le=10)] = 1.1
    """By which a region's sides are multiplied, around its middle."""

    def __call__(self, image: View, regions: Regions) -> View:
        changed = image.image.copy()
        for x0, y0, x1, y1 in _within(image, regions, self.margin):
            part, radius = changed.crop((x0, y0, x1, y1)), self.radius * max(x1 - x0, y1 - y0)
            spots = max(1, round(part.width / radius)), max(1, round(part.height / radius))
            coarse = part.resize(spots, Image.Resampling.BOX).resize(part.size, Image.Resampling.BICUBIC)
            changed.paste(coarse.filter(ImageFilter.GaussianBlur(radius / 2)), (x0, y0))
        return image.changed(changed, np.eye(2, 3))


class Fill(Operator):
    """Cover regions of a picture with one colour."""

    takes: ClassVar[dict[str, Port]] = {"image": IMAGE, "regions": REGIONS}
    gives: ClassVar[str] = "image"

    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#000000"
    """The colour that covers them, as #rrggbb."""
    margin: Annotated[float, Field(gt=0, le=10)] = 1.0
    """By which a region's sides are multiplied, around its middle."""

    def __call__(self, image: View, regions: Regions) -> View:
        changed = image.image.copy()
        for box in _within(image, regions, self.margin):
            changed.paste(self.color, box)
        return image.changed(changed, np.eye(2, 3))


class Draw(Operator):
    """Draw what was found on the picture: boxes with their labels, or concepts or the cluster along its lower edge."""

    takes: ClassVar[dict[str, Port]] = {
        "image": IMAGE,
        "found": Port(("concepts", "regions", "clusters"), optional=True),
    }
    gives: ClassVar[str] = "image"

    def __call__(self, image: View, found: Concepts | Regions | Clusters | None = None) -> View:
        if found is None:
            return image
        if isinstance(found, Regions):
            boxes = image.boxes_from_source(found.boxes).clip(0, np.array(image.image.size * 2, np.float64))
            found = replace(found, boxes=boxes)[_areas(boxes) > 0]
        return image.changed(draw(image.image, found, enlarge=False), np.eye(2, 3))


def _within(image: View, regions: Regions, margin: float) -> Iterator[tuple[int, int, int, int]]:
    """The regions in a view's pixels, made larger by `margin`, then whole pixels outwards; not those outside of it."""
    boxes = image.boxes_from_source(enlarged(regions.boxes, margin))
    size = np.array(image.image.size * 2, np.float64)
    boxes = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).clip(0, size)
    yield from map(tuple, boxes[_areas(boxes) > 0].astype(int).tolist())


def _areas(boxes: Array) -> Array:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def main_colors(image: Image.Image, most: int) -> Colors:
    """The colours of an RGB picture, `most` at most, by median cut; each the mean of the pixels nearest to it."""
    small = image.copy()
    small.thumbnail((SEEN, SEEN), Image.Resampling.BOX)
    reduced = small.quantize(most, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    counts = np.bincount(np.asarray(reduced).ravel())
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    colors = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)[order]
    shares = (counts[order] / counts.sum()).astype(np.float32)
    return Colors(tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colors.tolist()), named(colors), shares)
