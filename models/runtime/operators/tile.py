"""Large pictures in pieces: cut into tiles that overlap, and what was found in them put together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ..faults import Fault
from ..predictions import Array, Regions
from .filter import surest_first
from .operator import IMAGE, REGIONS, Fraction, Names, Operator, Port
from .overlaps import overlaps
from .views import View, Views

MOST = 10_000  # tiles of one picture


class ImageTile(Operator):
    """Cut a picture into tiles of one size that overlap, so that small things are large enough to be found.

    A picture no larger than a tile is one tile.
    """

    takes: ClassVar[dict[str, Port]] = {"image": IMAGE}
    gives: ClassVar[str] = "images"

    side: Annotated[int, Field(ge=64, le=8192)] = 640
    """Pixels of a tile's side."""
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    """The share of a tile's side that the next one shows as well, at least; what is smaller is whole in some tile."""
    whole: bool = False
    """Whether the whole picture is one more tile, for what is larger than a tile."""

    def concepts(self, given: Mapping[str, Names]) -> Names:
        return ("tile",)

    def __call__(self, image: View) -> Views:
        width, height = image.image.size
        across, down = (self._starts(length) for length in (width, height))
        if len(across) * len(down) > MOST:
            raise Fault(
                f"image-tile: {width} × {height} pixels would be {len(across) * len(down)} tiles of {self.side} that "
                f"overlap by {self.overlap:g}; {MOST} is the most. Give a larger side or a smaller overlap."
            )
        boxes = [(x, y, min(x + self.side, width), min(y + self.side, height)) for y, x in product(down, across)]
        if self.whole and len(boxes) > 1:
            boxes.append((0, 0, width, height))
        places = image.boxes_to_source(np.array(boxes, np.float64))
        count = len(boxes)
        regions = Regions(places, np.ones(count, np.float32), np.zeros(count, np.int64), ("tile",))
        return Views(tuple(image.cut(box) for box in boxes), regions)

    def _starts(self, length: int) -> list[int]:
        """Where tiles begin along a side: evenly, the first at its start, the last ending at its end."""
        room = length - self.side
        if room <= 0:
            return [0]
        step = max(1, int(self.side * (1 - self.overlap)))
        gaps = -(-room // step)
        return [i * room // gaps for i in range(gaps + 1)]


class TileMerge(Operator):
    """Make one region of what several tiles found of the same thing; the regions come surest first.

    Two regions of different tiles are the same thing if they overlap where both tiles look: what one tile shows whole
    and the next one cuts is the same there. The whole one stays, the surest of several; of pieces alone, of a thing
    that no tile shows whole, the box around them, with the highest of their scores.
    """

    # Of 720 objects of 20 to 110 pixels in 12 drawn pictures of 2000 × 1500, found in tiles of 640 where 30 % is in
    # sight, with scores drawn from .5 to 1 and a noise of 1 pixel, 1 is lost and 1 region too many. Suppression by IoU
    # over .5 loses 29 with 98 too many, by the share of the smaller 68 with 68: a piece that is surer beats the whole.

    takes: ClassVar[dict[str, Port]] = {"found": REGIONS, "tiles": Port(("images",))}
    gives: ClassVar[str] = "regions"

    iou: Fraction = 0.5
    """Two regions are the same thing with more than this of their union in common, where both tiles look."""
    across_concepts: bool = False
    """Whether regions of different concepts may be the same thing."""
    border: Annotated[float, Field(ge=0, le=64)] = 3.0
    """A region is a piece if it comes so near, in pixels, to a side of its tile at which the picture goes on."""

    def concepts(self, given: Mapping[str, Names]) -> Names:
        return given["found"]

    def misfits(self, connected: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        if connected["found"] == connected["tiles"]:
            return ()
        return ("its regions were not found in its tiles. Ask a detector about the tiles that are connected to it",)

    def __call__(self, found: Regions, tiles: Views) -> Regions:
        more = {name: column for name, column in found.more.items() if name != "parent"}
        if not len(found):
            return replace(found, more=more)
        if not _within(found, tiles.regions.boxes):
            raise Fault("tile-merge: the regions were not found in these tiles. Ask a detector about image-tile's.")
        pieces = self._pieces(found, tiles.regions.boxes)
        reach = _reach(found.more["parent"], tiles.regions.boxes)
        kept, boxes, left = [], found.boxes.copy(), np.ones(len(found), bool)
        for first in np.lexsort((-found.scores, pieces)):  # whole ones first: a piece may be the surer one
            if not left[first]:
                continue
            kept.append(first)
            left[first] = False
            waiting = [first]
            while waiting:
                one = waiting.pop()
                near = reach[found.more["parent"][one]]
                same = near[left[near]]
                same = same[self._same(one, same, found, tiles.regions.boxes)]
                left[same] = False
                if pieces[first]:  # then its neighbours' neighbours are pieces of it, too
                    waiting += list(same)
                    boxes[first] = _around(boxes[first], boxes[one])
        return surest_first(replace(found, boxes=boxes, more=more)[np.sort(np.array(kept, np.int64))])

    def _pieces(self, found: Regions, tiles: Array) -> Array:
        """(N,) bool: where tiles (T, 4) end outermost, the picture does."""
        ends = np.concatenate([tiles[:, :2].min(axis=0), tiles[:, 2:].max(axis=0)])
        own = tiles[found.more["parent"]]
        return ((np.abs(found.boxes - own) <= self.border) & (own != ends)).any(axis=1)

    def _same(self, one: int, others: Array, found: Regions, tiles: Array) -> Array:
        """(M,) bool: whether the region in row `one` and those in the rows `others` (M,) are the same thing."""
        parents = found.more["parent"]
        theirs = _inside(found.boxes[one], tiles[parents[others]])
        ours = _inside(found.boxes[others], tiles[parents[one]])
        same = overlaps(theirs, ours) > self.iou
        return same if self.across_concepts else same & (found.labels[others] == found.labels[one])


def _within(found: Regions, tiles: Array) -> bool:
    """Whether every region says in which of the tiles (T, 4) it was found, and lies there."""
    parents = found.more.get("parent")
    if parents is None or parents.max() >= len(tiles):
        return False
    own, slack = tiles[parents], 1e-6
    return bool((found.boxes[:, :2] >= own[:, :2] - slack).all() and (found.boxes[:, 2:] <= own[:, 2:] + slack).all())


def _reach(parents: Array, tiles: Array) -> list[Array]:
    """For each tile the rows of regions in other tiles that show a part of it.

    Not those in itself: what a detector found in one picture it has told apart.
    """
    reach = []
    for i, tile in enumerate(tiles):
        beside = ((tiles[:, :2] < tile[2:]) & (tiles[:, 2:] > tile[:2])).all(axis=1)
        beside[i] = False
        reach.append(np.flatnonzero(beside[parents]))
    return reach


def _inside(boxes: Array, frames: Array) -> Array:
    """The parts of boxes within frames, xyxy; without area where there is none."""
    return boxes.clip(frames[..., [0, 1, 0, 1]], frames[..., [2, 3, 2, 3]])


def _around(one: Array, other: Array) -> Array:
    """The smallest box around two."""
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])
