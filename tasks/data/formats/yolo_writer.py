"""Writes YOLO: `images/<split>/`, `labels/<split>/` and data.yaml."""

from __future__ import annotations

from pathlib import Path

import yaml

from tasks.data.annotations import SPLITS, Annotation
from tasks.data.dataset import Dataset
from tasks.data.formats.placing import copy, distinct_stems, inner_names, odd_areas, write_text
from tasks.data.formats.yolo import label_paths


def write(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """Fractions with all their digits: a coordinate comes back within 1e-9 of the picture's side.

    An image without boxes gets an empty label file. What is lost, in sentences.
    """
    inner = inner_names(dataset, lambda entry: entry.split)
    numbers = {name: number for number, name in enumerate(dataset.concepts)}
    renamed: list[str] = []
    for split in SPLITS:
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        entries = dataset.split(split)
        names, said = distinct_stems({entry.image: inner[entry.image] for entry in entries})
        renamed += said
        for entry in entries:
            picture = f"images/{split}/{names[entry.image]}"
            copy(dataset, entry, folder / picture)
            write_text(folder / label_paths(picture)[0], "".join(f"{row}\n" for row in _rows(entry, numbers)))
    # No `path`: tools then count from data.yaml's own folder, wherever it is moved.
    table = {split: f"images/{split}" for split in SPLITS} | {"names": dict(enumerate(dataset.concepts))}
    write_text(folder / "data.yaml", yaml.safe_dump(table, sort_keys=False, allow_unicode=True))
    return (*renamed, *_lost(dataset))


def _rows(entry: Annotation, numbers: dict[str, int]) -> list[str]:
    rows = []
    for (x0, y0, x1, y1), concept in zip(entry.boxes, entry.box_concepts, strict=True):
        centre = ((x0 + x1) / 2 / entry.width, (y0 + y1) / 2 / entry.height)
        sides = ((x1 - x0) / entry.width, (y1 - y0) / entry.height)
        rows.append(" ".join([str(numbers[concept]), *map(repr, (*centre, *sides))]))
    return rows


def _lost(dataset: Dataset) -> list[str]:
    entries = dataset.annotations
    crowds, difficult = (sum(sum(getattr(entry, mark)) for entry in entries) for mark in ("crowd", "difficult"))
    areas = sum(map(odd_areas, entries))
    kept = sum(bool(entry.metadata) for entry in entries)
    named = sum(bool(entry.concepts) for entry in entries)
    said = [
        (crowds, f"the mark of {crowds} boxes that are crowds (coco keeps it): they are written as single things"),
        (difficult, f"the mark of {difficult} boxes that are difficult (voc and coco keep it)"),
        (areas, f"the areas of {areas} boxes that are not width × height (coco keeps them)"),
        (kept, f"the metadata of {kept} images (coco keeps it)"),
        (named, f"the concepts of {named} images as a whole"),
    ]
    return [sentence for count, sentence in said if count]
