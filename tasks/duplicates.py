"""Pictures of a visual index that are nearly the same: in groups, those that reach across splits told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.data.twins import alike
from tasks.hits import groups_sheet
from tasks.index_files import VisualIndex
from tasks.sheets import written
from tasks.visual_search import checked_sheet, watched


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pictures of an index that are nearly the same.

    groups: the largest first; rows of image, split, concepts, sha256, similarity (with the one most like it), `exact`
    (another one of the group has its bytes), `leak` (the group reaches across splits) and `differ` (its concepts do).
    pictures: in groups; `copies` of them have the bytes of another one; `leaks` groups reach across splits, and the
    concepts of `differing` ones differ.
    sheet: the contact sheet; empty where no two are alike.
    """

    dataset: str
    dataset_version: str
    model: str
    threshold: float
    images: int
    pictures: int
    copies: int
    leaks: int
    differing: int
    groups: list[list[dict[str, Any]]]
    sheet: str


def duplicates(index: VisualIndex, threshold: float, sheet: Path | None = None) -> Duplicates:
    """Groups of pictures whose cosine similarity is `threshold` or more, those across splits told."""
    sheet = checked_sheet(sheet or index.folder.parent / "duplicates.jpg")
    found = alike(index.vectors, threshold, lambda starts: watched(starts, "comparing"))
    members: dict[int, list[int]] = {}
    for number in np.flatnonzero(found.groups >= 0):
        members.setdefault(int(found.groups[number]), []).append(int(number))
    groups = [_group(index, numbers, found.scores) for numbers in members.values()]
    groups.sort(key=len, reverse=True)
    rows = [row for group in groups for row in group]
    head = index.head
    if groups:
        what = f"{len(groups)} groups of {index}, alike by {threshold:g} or more; orange: across splits"
        written(groups_sheet(groups, index.pictures, what), sheet)
    return Duplicates(
        dataset=head.dataset,
        dataset_version=head.dataset_version,
        model=head.model,
        threshold=threshold,
        images=head.count,
        pictures=len(rows),
        copies=sum(row["exact"] for row in rows),
        leaks=sum(group[0]["leak"] for group in groups),
        differing=sum(group[0]["differ"] for group in groups),
        groups=groups,
        sheet=str(sheet) if groups else "",
    )


def _group(index: VisualIndex, numbers: Sequence[int], scores: np.ndarray) -> list[dict[str, Any]]:
    rows = [index.row(number) for number in numbers]
    digests = [row.sha256 for row in rows]
    leak, differ = len({row.split for row in rows}) > 1, len({row.concepts for row in rows}) > 1
    return [
        {
            "image": row.image,
            "split": row.split,
            "concepts": list(row.concepts),
            "sha256": row.sha256,
            "similarity": round(float(min(1.0, scores[number])), 6),
            "exact": digests.count(row.sha256) > 1,
            "leak": leak,
            "differ": differ,
        }
        for number, row in zip(numbers, rows, strict=True)
    ]
