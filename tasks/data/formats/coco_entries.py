"""The entries of a COCO file, one by one. A ValueError says what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.runtime.faults import short
from tasks.data.annotations import Box
from tasks.data.formats.names import concept
from tasks.data.formats.source import Boxed, Rejected


def key(identity: object) -> object:
    """An id that can be looked up; None for what cannot be one."""
    return identity if isinstance(identity, int | str) and not isinstance(identity, bool) else None


def categories(path: str, entries: list[Any], rejected: list[Rejected]) -> dict[object, str]:
    """Names by id. Ids may be any; two ids of one name are one concept."""
    names: dict[object, str] = {}
    for number, entry in enumerate(entries, 1):
        identity = key(entry.get("id")) if isinstance(entry, dict) else None
        try:
            if identity is None or identity in names:
                raise ValueError(f"not a category: its id is {short(identity)}, which is taken or none")
            names[identity] = concept(entry.get("name"))
        except ValueError as error:
            rejected.append(Rejected(path, f"{path}#category {number}", "annotation", str(error)))
    return names


def boxed(row: Mapping[str, Any], names: Mapping[object, str], where: str) -> Boxed:
    """An annotation as a box. Raises ValueError with the reason."""
    category = row.get("category_id")
    if key(category) not in names:
        raise ValueError(f"no such category: {short(category)}")
    return Boxed(
        _box(row.get("bbox")),
        names[key(category)],
        where,
        area=_number(row.get("area")),
        crowd=bool(row.get("iscrowd")),
        difficult=bool(row.get("ignore")),
    )


def whole(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size that an image's entry claims; None when it claims none, or a zero."""
    width, height = _number(entry.get("width")), _number(entry.get("height"))
    return (int(width), int(height)) if width and height and min(width, height) >= 1 else None


def _box(said: object) -> Box:
    """xyxy of COCO's x, y, width, height."""
    numbers = [_number(value) for value in said] if isinstance(said, list) else []
    if len(numbers) != 4 or None in numbers:
        raise ValueError(f"no box: bbox is {short(said)}, not four numbers: x, y, width, height")
    x, y, width, height = (number for number in numbers if number is not None)
    return x, y, x + width, y + height


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(value)
