"""One image's line in `annotations.jsonl`: the form every format is read into and written from."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from reprlib import repr as brief
from typing import Any

from models.runtime.faults import listed, short

Box = tuple[float, float, float, float]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one image.

    image: path below the dataset's `images/`, with `/`.  sha256: of the file's bytes.
    width, height: pixels of the image as a person sees it (after its EXIF orientation).
    split: `train`, `val` or `test`.  concepts: of the image as a whole, sorted.
    boxes: xyxy, pixels, x0 < x1 and y0 < y1, inside the image; `areas`, `box_concepts`, `crowd` and
    `difficult` have one entry a box.  areas: square pixels (a COCO segmentation's own, else w × h).
    metadata: whatever else the source said, JSON values only.
    """

    image: str
    sha256: str
    width: int
    height: int
    split: str
    concepts: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    areas: tuple[float, ...] = ()
    box_concepts: tuple[str, ...] = ()
    crowd: tuple[bool, ...] = ()
    difficult: tuple[bool, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {name: len(getattr(self, name)) for name in ("boxes", "areas", "box_concepts", "crowd", "difficult")}
        if len(set(counts.values())) > 1:
            raise ValueError(f"{short(self.image)}: columns of different lengths: {counts}")
        if self.split not in SPLITS:
            raise ValueError(f"{short(self.image)}: split {short(self.split)!r} is not one of {', '.join(SPLITS)}")

    def line(self) -> str:
        """The canonical JSON of this annotation: the same annotation gives the same bytes."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, line: str) -> Annotation:
        """An annotation from its line. Raises ValueError, KeyError or TypeError on anything else."""
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("it must be a JSON object")
        unknown = row.keys() - KEYS
        if unknown:
            raise ValueError(f"unknown keys {listed(sorted(unknown))}")
        for name, (what, good) in KINDS.items():
            if name in row and not good(row[name]):
                raise ValueError(f"{name} must be {what}; it is {brief(row[name])}")
        row["boxes"] = tuple(tuple(map(float, box)) for box in row["boxes"])
        for name in ("concepts", "areas", "box_concepts", "crowd", "difficult"):
            row[name] = tuple(row[name])
        return cls(**row)


def distinct(entries: Iterable[Annotation]) -> list[Annotation]:
    """Of images with the same bytes the first, in the order given."""
    found: dict[str, Annotation] = {}
    for entry in entries:
        found.setdefault(entry.sha256, entry)
    return list(found.values())


def sound(value: object, levels: int = 50) -> bool:
    """Whether JSON in UTF-8 holds a value for good: no NaN, no half character, not nested without end."""
    if isinstance(value, str):
        return value.isascii() or value.encode("utf-8", "replace").decode() == value
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return levels > 0 and all(isinstance(k, str) and sound(k) and sound(v, levels - 1) for k, v in value.items())
    if isinstance(value, list):
        return levels > 0 and all(sound(entry, levels - 1) for entry in value)
    return value is None or isinstance(value, int)


def _pixels(value: object) -> bool:
    return type(value) is int and 0 < value < 2**31


def _all(value: object, *kinds: type) -> bool:
    """Whether it is a list of these kinds alone. By the set of types: a thousand images have ten thousand boxes."""
    return isinstance(value, list) and {*map(type, value)} <= {*kinds}


def _text(value: object) -> bool:
    return isinstance(value, str) and sound(value)


def _path(value: object) -> bool:
    """A text that the system takes as a path: 255 bytes a name, and room for the folder it lies in."""
    if not isinstance(value, str) or not sound(value):
        return False
    path = value.encode()
    return len(path) <= 255 or (len(path) <= 3000 and max(map(len, path.split(b"/"))) <= 255)


def _texts(value: list[Any]) -> bool:
    return _all(value, str) and sound("".join(value))


def _numbers(value: list[Any]) -> bool:
    return _all(value, int, float) and all(abs(number) < LARGEST for number in value)  # NaN is not


def _boxes(value: list[Any]) -> bool:
    return _all(value, list) and {*map(len, value)} <= {4} and _numbers([*chain.from_iterable(value)])


def _flags(value: object) -> bool:
    return _all(value, bool)


LARGEST = 1e15  # of pixels and their squares: beyond it a float no longer tells one from the next
KEYS = frozenset(field.name for field in fields(Annotation))
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "image": ("a text, and no longer than a path can be", _path),
    "sha256": ("a text", _text),
    "width": ("a whole number above 0", _pixels),
    "height": ("a whole number above 0", _pixels),
    "concepts": ("a list of texts", _texts),
    "boxes": ("a list of four numbers each", _boxes),
    "areas": ("a list of numbers", _numbers),
    "box_concepts": ("a list of texts", _texts),
    "crowd": ("a list of true and false", _flags),
    "difficult": ("a list of true and false", _flags),
    "metadata": ("an object without NaN or half characters", lambda value: isinstance(value, dict) and sound(value)),
}
