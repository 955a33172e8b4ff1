"""The boxes of one image as a source says them, brought into the picture as a person sees it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from models.runtime.images import FORMATS
from tasks.data.annotations import Box
from tasks.data.formats.source import Labelled, Rejected

ROUNDING = 0.5  # pixels: a box that sticks out by less was only rounded, and is clipped without a word
SAME_ASPECT = 0.01  # relative: two sizes of one picture; whole pixels of small pictures differ by less


@dataclass(frozen=True, slots=True)
class Boxes:
    """The usable boxes: the columns of an Annotation; what was left out and what was mended."""

    columns: dict[str, tuple[Any, ...]]
    rejected: tuple[Rejected, ...] = ()
    repaired: tuple[Rejected, ...] = ()


class Misfit(Exception):
    """The size that an annotation claims cannot be this picture's."""


def fitted(labelled: Labelled, content: bytes, size: tuple[int, int]) -> Boxes:
    """The boxes of an image, xyxy in pixels of the picture after its EXIF orientation, inside it.

    content: the file's bytes, looked at only when the claimed size is not `size`, (width, height) as seen.
    Raises Misfit when the claimed size has nothing to do with the picture.
    """
    move, growth, said = _frame(labelled, content, size)
    rejected: list[Rejected] = []
    repaired = [Rejected(labelled.name, labelled.where, "image", said)] if said else []
    rows: dict[tuple[Box, str], tuple[Any, ...]] = {}
    for i, box in enumerate(labelled.boxes):
        row, concept = labelled.box_where[i], labelled.box_concepts[i]
        reason = _fault(box, concept) or _outside(moved := move(box), size)
        if reason:
            rejected.append(Rejected(labelled.name, row, "box", f"{reason}: {_text(box)}"))
            continue
        inner, overhang = _clipped(moved, size)
        if overhang >= ROUNDING:
            reason = f"clipped to the picture ({overhang:.4g} px outside): {_text(box)}"
            repaired.append(Rejected(labelled.name, row, "box", reason))
        if (inner, concept) in rows:
            repaired.append(Rejected(labelled.name, row, "box", f"the same box twice, kept once: {_text(box)}"))
            continue
        area = _area(labelled.areas[i], growth, inner)
        rows[inner, concept] = (inner, area, concept, labelled.crowd[i], labelled.difficult[i])
    names = ("boxes", "areas", "box_concepts", "crowd", "difficult")
    columns = zip(*rows.values(), strict=True) if rows else ((),) * len(names)
    return Boxes(dict(zip(names, columns, strict=True)), tuple(rejected), tuple(repaired))


def _frame(labelled: Labelled, content: bytes, size: tuple[int, int]) -> tuple[Callable[[Box], Box], float, str]:
    """How to move a box into the picture, by what its area grows, and what to tell of it ('' for nothing)."""
    width, height = size
    if labelled.relative:
        return lambda box: _scaled(box, width, height), width * height, ""
    claimed = labelled.size
    if not labelled.boxes or claimed is None or claimed == size:
        return lambda box: box, 1.0, ""
    if 0 in claimed:
        return lambda box: box, 1.0, f"the annotation claims {claimed[0]}×{claimed[1]} pixels: taken as the real size"
    raw, orientation = _stored(content)
    if claimed == raw and orientation in TURNS:
        turn = TURNS[orientation]
        return lambda box: _turned(box, turn, raw), 1.0, f"boxes turned with the picture (EXIF {orientation})"
    x, y = width / claimed[0], height / claimed[1]
    if abs(x / y - 1) <= SAME_ASPECT:
        said = f"boxes scaled from the claimed {claimed[0]}×{claimed[1]} to the real {width}×{height}"
        return lambda box: _scaled(box, x, y), x * y, said
    raise Misfit(f"the annotation claims {claimed[0]}×{claimed[1]} pixels, the picture has {width}×{height}")


def _stored(content: bytes) -> tuple[tuple[int, int], int]:
    """(width, height) before any turn, and the EXIF orientation (1 when there is no sensible one)."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        try:
            return image.size, int(image.getexif().get(0x0112, 1))
        except Exception:  # Pillow raises all kinds on a broken EXIF block, which then says nothing
            return image.size, 1


Turn = Callable[[float, float, int, int], tuple[float, float]]

# Where a point (x, y) of a stored width × height picture is after its EXIF orientation. Only those that swap the
# sides: with 2, 3 and 4 the size says nothing about which way a box was drawn, and as seen is the likelier one.
TURNS: dict[int, Turn] = {
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


def _turned(box: Box, turn: Turn, raw: tuple[int, int]) -> Box:
    (x0, y0), (x1, y1) = turn(box[0], box[1], *raw), turn(box[2], box[3], *raw)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _scaled(box: Box, x: float, y: float) -> Box:
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def _fault(box: Box, concept: str) -> str:
    """What is wrong with a box as it is said. Inverted ones are not swapped: columns in another order look so."""
    x0, y0, x1, y1 = box
    if not concept.strip():
        return "no concept"
    if not all(map(math.isfinite, box)):
        return "not a number"
    if x0 > x1 or y0 > y1:
        return "inverted (the second corner lies left of or above the first)"
    if x0 == x1 or y0 == y1:
        return "no area"
    return ""


def _outside(box: Box, size: tuple[int, int]) -> str:
    x0, y0, x1, y1 = box
    beyond = x0 >= size[0] or y0 >= size[1] or x1 <= 0 or y1 <= 0
    return f"wholly outside the picture of {size[0]}×{size[1]}" if beyond else ""


def _clipped(box: Box, size: tuple[int, int]) -> tuple[Box, float]:
    """The part inside the picture, and by how many pixels the box stuck out at most."""
    inner = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(size[0])), min(box[3], float(size[1])))
    return inner, max(abs(was - now) for was, now in zip(box, inner, strict=True))


def _area(said: float | None, growth: float, box: Box) -> float:
    """Square pixels: what the source says (never more than its box), else width × height."""
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return min(said * growth, whole) if said and math.isfinite(said) and said > 0 else whole


def _text(box: Box) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in box) + "]"
