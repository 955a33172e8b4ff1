"""Predictions as labels: a set to accept as it is and a set to review, each as `sightline ingest` reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.runtime.operators.act import ACCEPTED, REVIEW
from models.runtime.workflows.plan import Step
from tasks.files import Rows, as_csv, free, write
from tasks.inputs import Seen

VERDICTS = (ACCEPTED, REVIEW)


def note_labels(step: Step, picture: Seen, found: Any, place: Path) -> Rows:
    """A row for a picture that has a label: its rows, its verdict, and the file that shows it.

    Review: at least one of its labels is unsure; the sure ones beside it stay with it.
    """
    operator: Any = step.operator
    rows = operator.labels(found)
    if not rows:
        return []
    source = Path(picture.path)
    if picture.number is not None or not source.is_file():  # a frame, or fetched: it has no file of its own
        source = free(place / "pictures" / picture.named(".jpg"))
        picture.image.save(source, quality=95)
    verdict = ACCEPTED if all(row["verdict"] == ACCEPTED for row in rows) else REVIEW
    return [{**picture.where(), "verdict": verdict, "file": str(source.absolute()), "rows": rows}]


def write_labels(
    notes: Iterable[tuple[Path, dict[str, Any]]], concepts: tuple[str, ...], by: str, target: Path
) -> dict[str, Any]:
    """`accepted/` and `review/`: `images/` and COCO's `annotations.json`, or `labels.csv` where pictures have concepts.

    by: what the labels come from, which each picture's metadata says, beside `state` and `scores`.
    """
    sets: dict[str, Rows] = {verdict: [] for verdict in VERDICTS}
    boxed = True
    for _, note in notes:
        source = Path(note["file"])
        to = free(target / note["verdict"] / "images" / source.name)
        shutil.copyfile(source, to)  # no link: who edits a label's picture does not mean to edit the original
        boxed = "box" in note["rows"][0]
        sets[note["verdict"]].append(note | {"file": to.name})
    for verdict, notes_ in sets.items():
        if notes_:
            (_coco if boxed else _csv)(notes_, concepts, by, target / verdict)
    return {verdict: len(rows) for verdict, rows in sets.items()} | {"folder": str(target)}


def _metadata(note: dict[str, Any], by: str) -> dict[str, Any]:
    return {"state": note["verdict"], "labelled_by": by, "scores": [row["score"] for row in note["rows"]]}


def _coco(notes: Rows, concepts: tuple[str, ...], by: str, target: Path) -> None:
    ids = {name: number for number, name in enumerate(concepts, 1)}
    images: Rows = []
    boxes: Rows = []
    for number, note in enumerate(notes, 1):
        size = {"width": note["width"], "height": note["height"]}
        images.append({"id": number, "file_name": note["file"], **size, **_metadata(note, by)})
        for row in note["rows"]:
            x0, y0, x1, y1 = row["box"]
            box = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0, "segmentation": []}
            boxes.append({"id": len(boxes) + 1, "image_id": number, "category_id": ids[row["concept"]], **box})
    known = [{"id": number, "name": name} for name, number in ids.items()]
    content = {"images": images, "annotations": boxes, "categories": known}
    write(target / "annotations.json", json.dumps(content, ensure_ascii=False) + "\n")


def _csv(notes: Rows, concepts: tuple[str, ...], by: str, target: Path) -> None:
    rows = [
        {
            "path": f"images/{note['file']}",
            "concepts": "|".join(row["concept"] for row in note["rows"]),
            "metadata": json.dumps(_metadata(note, by), ensure_ascii=False),
        }
        for note in notes
    ]
    write(target / "labels.csv", as_csv(rows))
