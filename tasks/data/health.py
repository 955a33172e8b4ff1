"""A dataset at a glance, and what is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.runtime.faults import listed
from tasks.data.annotations import SPLITS, Annotation
from tasks.data.dataset import Dataset

SMALL, MEDIUM = 32**2, 96**2  # square pixels: where COCO's small, medium and large boxes part
FEW = 10  # training images (or boxes) below which a concept is hardly learnt
THIN = 2.0  # pixels: a side below this is hardly a box
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """What a dataset holds.

    splits: images in each.  concepts: a row each: its name, how many in each split (boxes in a detection dataset,
    images otherwise), and in how many images.  image_sizes, box_sizes: smallest, median and largest, as
    `width×height` of one image, and as the square root of a box's area in pixels; box_areas: boxes under 32²,
    under 96² and above, square pixels.  empty: images with neither box nor concept.
    twins: groups of images with the same bytes.
    """

    dataset: str
    task: str
    exclusive: bool
    version: str
    images: int
    boxes: int
    splits: dict[str, int]
    concepts: tuple[dict[str, Any], ...]
    image_sizes: dict[str, str]
    box_sizes: dict[str, float]
    box_areas: dict[str, int]
    empty: int
    twins: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """For a person to read."""
        counted = "boxes" if self.task == "detection" else "images"
        lines = [
            f"{self.dataset}: {self.images} images, {self.boxes} boxes, {len(self.concepts)} concepts ({self.task})",
            f"splits        {_pairs(self.splits)}",
            f"image sizes   {_pairs(self.image_sizes)}",
        ]
        if self.boxes:
            lines.append(f"box sizes     {_pairs(self.box_sizes)} (root of area, pixels)")
            lines.append(f"box areas     {_pairs(self.box_areas)} (small: under 32×32 pixels; large: 96×96 and above)")
        lines.append(f"unlabelled    {self.empty}, twins {len(self.twins)} groups")
        width = max((len(row["concept"]) for row in self.concepts), default=0)
        lines.append(f"{'':<{width}}  {'  '.join(f'{name:>7}' for name in (*SPLITS, 'images'))}   ({counted})")
        for row in self.concepts:
            numbers = "  ".join(f"{row[name]:>7}" for name in (*SPLITS, "images"))
            lines.append(f"{row['concept']:<{width}}  {numbers}")
        return "\n".join(lines)


def describe(dataset: Dataset) -> Summary:
    """Counts by split and concept, sizes of images and boxes, twins. No picture is read."""
    entries = dataset.annotations
    splits = Counter(entry.split for entry in entries)
    sides = np.sqrt([area for entry in entries for area in entry.areas])
    return Summary(
        dataset=dataset.name,
        task=dataset.task,
        exclusive=dataset.exclusive,
        version=dataset.version,
        images=len(entries),
        boxes=len(sides),
        splits={split: splits[split] for split in SPLITS},
        concepts=tuple(_concepts(dataset)),
        image_sizes=_image_sizes(entries),
        box_sizes={name: round(float(np.quantile(sides, at)), 1) for name, at in _QUANTILES.items()}
        if len(sides)
        else {},
        box_areas={
            "small": int((sides**2 < SMALL).sum()),
            "medium": int(((sides**2 >= SMALL) & (sides**2 < MEDIUM)).sum()),
            "large": int((sides**2 >= MEDIUM).sum()),
        },
        empty=sum(not entry.boxes and not entry.concepts for entry in entries),
        twins=tuple(tuple(entry.image for entry in group) for group in _twins(entries)),
    )


def problems(dataset: Dataset) -> tuple[str, ...]:
    """What is wrong or weak, a sentence each; empty when all is well. Files are looked for, not read."""
    return (
        *_missing_files(dataset),
        *_thin_splits(dataset),
        *_thin_concepts(dataset),
        *_bad_twins(dataset),
        *_thin_boxes(dataset),
    )


_QUANTILES = {"smallest": 0.0, "median": 0.5, "largest": 1.0}


def _labels(dataset: Dataset, entry: Annotation) -> tuple[str, ...]:
    return entry.box_concepts if dataset.task == "detection" else entry.concepts


def _concepts(dataset: Dataset) -> Iterable[dict[str, Any]]:
    counts = Counter((name, entry.split) for entry in dataset.annotations for name in _labels(dataset, entry))
    images = Counter(name for entry in dataset.annotations for name in set(_labels(dataset, entry)))
    for name in dataset.concepts:
        yield {"concept": name, **{split: counts[name, split] for split in SPLITS}, "images": images[name]}


def _image_sizes(entries: Sequence[Annotation]) -> dict[str, str]:
    ordered = sorted(((entry.width, entry.height) for entry in entries), key=lambda size: size[0] * size[1])
    at = {name: ordered[round(at * (len(ordered) - 1))] for name, at in _QUANTILES.items()} if ordered else {}
    return {name: f"{width}×{height}" for name, (width, height) in at.items()}


def _twins(entries: Sequence[Annotation]) -> list[list[Annotation]]:
    groups: dict[str, list[Annotation]] = defaultdict(list)
    for entry in entries:
        groups[entry.sha256].append(entry)
    return [group for group in groups.values() if len(group) > 1]


def _missing_files(dataset: Dataset) -> Iterable[str]:
    gone = [entry.image for entry in dataset.annotations if not dataset.path(entry).is_file()]
    if gone:
        names = listed(gone, SHOWN)
        yield f"{len(gone)} pictures are not on disk ({names}): `dvc checkout data/{dataset.name}` brings them"


def _thin_splits(dataset: Dataset) -> Iterable[str]:
    for split, without in (
        ("train", "nothing can be trained"),
        ("val", "no training can be stopped early or its best weights be picked"),
        ("test", "no honest number can be given"),
    ):
        if not dataset.split(split):
            yield f"no image is in {split}: {without}"
    silent = sum(not _labels(dataset, entry) for entry in dataset.annotations)
    if 2 * silent > len(dataset):
        what = "box" if dataset.task == "detection" else "concept"
        yield f"{silent} of {len(dataset)} images have no {what}"


def _thin_concepts(dataset: Dataset) -> Iterable[str]:
    rows = list(_concepts(dataset))
    filled = [split for split in SPLITS if dataset.split(split)]
    counted = "boxes" if dataset.task == "detection" else "images"
    unused = [row["concept"] for row in rows if not row["images"]]
    few = [f"{row['concept']} {row['train']}" for row in rows if row["images"] and row["train"] < FEW]
    if unused:
        yield f"{len(unused)} concepts have no {counted} at all: {listed(unused, SHOWN)}"
    if few:
        yield f"{len(few)} concepts have fewer than {FEW} training {counted}: {listed(few, SHOWN)}"
    for split in filled:
        lacking = [row["concept"] for row in rows if row["images"] and not row[split]]
        if lacking:
            yield f"{len(lacking)} concepts are not in {split}: {listed(lacking, SHOWN)}"


def _bad_twins(dataset: Dataset) -> Iterable[str]:
    for group in _twins(dataset.annotations):
        names = listed([entry.image for entry in group], SHOWN)
        if len({entry.split for entry in group}) > 1:
            yield f"the same picture is in several splits: {names}"
        if len({(entry.concepts, entry.boxes, entry.box_concepts) for entry in group}) > 1:
            yield f"the same picture has different labels: {names}"


def _thin_boxes(dataset: Dataset) -> Iterable[str]:
    thin = [
        entry.image for entry in dataset.annotations for x0, y0, x1, y1 in entry.boxes if min(x1 - x0, y1 - y0) < THIN
    ]
    if thin:
        yield f"{len(thin)} boxes are less than {THIN:g} pixels wide or high ({listed(dict.fromkeys(thin), SHOWN)})"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
