"""What a reader answers: everything a labelled folder says of its pictures, before any of it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.data.annotations import Box
from tasks.data.dataset import Task


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image a source speaks of, before any check.

    file: absolute path of the picture the source names; it may not exist.
    name: its path in the dataset's `images/`, with `/`; unique in a source, and the same as below the
    source's folder (base names collide across folders, so folders stay).
    where: where the source says it: the annotation file below the source, with `:line` or `#id` if it has one.
    split: the source's own, `train`, `val` or `test`; None when it has none.
    concepts: of the image as a whole.
    boxes: xyxy float pixels in the frame of `size`, as said and unchecked; fractions of the picture's width and
    height when `relative`.  `areas` (None: not said), `box_concepts`, `crowd`, `difficult` and `box_where`
    (the row of rejected.csv that a box would be) have one entry a box.
    size: width and height in pixels that the annotation claims; None when it does not, or claims a zero.
    metadata: whatever else the source said, JSON values only.
    """

    file: Path
    name: str
    where: str
    split: str | None = None
    concepts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    areas: tuple[float | None, ...] = ()
    box_concepts: tuple[str, ...] = ()
    crowd: tuple[bool, ...] = ()
    difficult: tuple[bool, ...] = ()
    box_where: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    relative: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("boxes", "areas", "box_concepts", "crowd", "difficult", "box_where")
        counts = {name: len(getattr(self, name)) for name in names}
        if len(set(counts.values())) > 1:
            raise ValueError(f"{self.where}: columns of different lengths: {counts}")

    def within(self, split: str | None) -> Labelled:
        """The same image in that split."""
        return replace(self, split=split)


@dataclass(frozen=True, slots=True)
class Boxed:
    """One box as a source says it: a row of the columns of `Labelled`."""

    box: Box
    concept: str
    where: str
    area: float | None = None
    crowd: bool = False
    difficult: bool = False


def columns(rows: Sequence[Boxed]) -> dict[str, Any]:
    """The box columns of `Labelled`: `Labelled(file, name, where, **columns(rows))`."""
    return {
        "boxes": tuple(row.box for row in rows),
        "areas": tuple(row.area for row in rows),
        "box_concepts": tuple(row.concept for row in rows),
        "crowd": tuple(row.crowd for row in rows),
        "difficult": tuple(row.difficult for row in rows),
        "box_where": tuple(row.where for row in rows),
    }


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something left out: a row of rejected.csv.

    path: below the source, of the picture (also of one that is not there); of the annotation file when the picture
    cannot be told.  row: where the source says it (`Labelled.where` or `box_where`), empty for all of `path`.
    what: `image`, `box`, `annotation` or `row`.
    """

    path: str
    row: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """A source read as one format.

    exclusive: every image has exactly one concept.
    concepts: all names the source knows, used or not, sorted.
    note: what was seen, in one sentence.
    """

    format: str
    task: Task
    exclusive: bool
    concepts: tuple[str, ...]
    images: tuple[Labelled, ...]
    rejected: tuple[Rejected, ...]
    note: str
