"""Writes COCO: `images/`, and `annotations/instances_{train,val,test}.json`."""

from __future__ import annotations

import json
import math
from itertools import count
from pathlib import Path
from typing import Any

from tasks.data.annotations import SPLITS, Box
from tasks.data.dataset import Dataset
from tasks.data.formats.coco import OWN
from tasks.data.formats.placing import copy, inner_names, write_text


def write(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """Boxes that read back as the same (see `length`); difficult as `ignore`. What is lost, in sentences."""
    names = inner_names(dataset)
    (folder / "images").mkdir(parents=True)
    ids = {concept: number for number, concept in enumerate(dataset.concepts, 1)}
    image_ids, box_ids = count(1), count(1)
    for split in SPLITS:
        images, rows = [], []
        for entry in dataset.split(split):
            copy(dataset, entry, folder / "images" / names[entry.image])
            image = next(image_ids)
            other = {name: value for name, value in entry.metadata.items() if name not in OWN}
            own = (image, names[entry.image], entry.width, entry.height)
            images.append(dict(zip(OWN, own, strict=True)) | other)
            for i, box in enumerate(entry.boxes):
                row = _row(box, entry.areas[i], entry.crowd[i], entry.difficult[i])
                rows.append({"id": next(box_ids), "image_id": image, "category_id": ids[entry.box_concepts[i]], **row})
        known = [{"id": number, "name": concept} for concept, number in ids.items()]
        content = {"images": images, "annotations": rows, "categories": known}
        write_text(folder / "annotations" / f"instances_{split}.json", json.dumps(content, ensure_ascii=False) + "\n")
    return tuple(_lost(dataset))


def _row(box: Box, area: float, crowd: bool, difficult: bool) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    row = {"bbox": [x0, y0, length(x0, x1), length(y0, y1)], "area": area, "iscrowd": int(crowd), "segmentation": []}
    return row | ({"ignore": 1} if difficult else {})


def length(start: float, end: float) -> float:
    """The shortest number that, added to start, gives exactly end, for 0 <= start < end.

    `end - start` is not: 101.33 - 1.23 is 100.1 with dust behind it. An end that was once read as the sum of
    start and a width always has one; of others a few have none, since every sum in reach rounds to a neighbour:
    they come back changed in the last bit.
    """
    plain = end - start
    rounded = (round(plain, digits) for digits in range(17))
    near = (plain, math.nextafter(plain, 0), math.nextafter(plain, math.inf))
    return next((size for size in (*rounded, *near) if start + size == end), plain)


def _lost(dataset: Dataset) -> list[str]:
    named = sum(bool(entry.concepts) for entry in dataset.annotations)
    clash = sum(not entry.metadata.keys().isdisjoint(OWN) for entry in dataset.annotations)
    said = [
        (named, f"the concepts of {named} images as a whole"),
        (clash, f"metadata called {', '.join(OWN)} of {clash} images"),
    ]
    return [sentence for number, sentence in said if number]
