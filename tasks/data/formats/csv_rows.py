"""The values of a CSV row: concepts, split and metadata. A ValueError says what is wrong with one."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from models.runtime.faults import short
from tasks.data.annotations import SPLITS
from tasks.data.formats.names import SPLIT_WORDS, concept, plain

PATHS = ("path", "image_path", "input")
LABELS = ("concepts", "label")  # of `concepts` there may be several, a `label` is one name as it stands


def column_of(columns: Iterable[str], *names: str) -> str | None:
    """The column of one of these names, as the header spells it: the first that there is."""
    spelled = {column.casefold(): column for column in columns}
    return next((spelled[name] for name in names if name in spelled), None)


def concepts_of(row: Mapping[str, str]) -> list[str]:
    """The concepts of a row: at least one."""
    column = column_of(row, *LABELS) or ""
    names = re.split(r"[,;|]", row[column]) if column.casefold() == "concepts" else [row[column]]
    found = [concept(name) for name in names if name.strip()]
    if not found:
        raise ValueError("no concept")
    return found


def split_of(row: Mapping[str, str]) -> str | None:
    """The split that a row's own column says."""
    word = row.get(column_of(row, "split") or "", "").strip().casefold()
    if word and word not in SPLIT_WORDS:
        raise ValueError(f"no such split: {short(word)!r} is none of {', '.join(SPLITS)}")
    return SPLIT_WORDS.get(word)


def metadata_of(row: Mapping[str, str]) -> dict[str, Any]:
    """The values of all other columns; `metadata` is taken apart, `geopoints` is longitude,latitude."""
    known = {column_of(row, *names) for names in (PATHS, LABELS, ("split",), ("metadata",), ("geopoints",))}
    found: dict[str, Any] = {column: value for column, value in row.items() if column not in known and value}
    found |= _object(row.get(column_of(row, "metadata") or "", "").strip())
    point = row.get(column_of(row, "geopoints") or "", "").strip()
    if point:
        numbers = re.fullmatch(r"(-?\d{1,3}(?:\.\d*)?)\s*,\s*(-?\d{1,2}(?:\.\d*)?)", point)
        if not numbers:
            raise ValueError(f"no geopoint: {short(point)!r} is not longitude,latitude")
        found["geopoints"] = {"longitude": float(numbers[1]), "latitude": float(numbers[2])}
    return found


def _object(text: str) -> dict[str, Any]:
    """JSON, also with single quotes as the platform writes it. Raises ValueError for anything but an object."""
    if not text:
        return {}
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
            if isinstance(value, dict):
                return plain(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
    raise ValueError(f"no metadata: {short(text)!r} is not a JSON object")
