"""Writes CSV: `images/` and labels.csv."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from models.runtime.faults import Fault, short
from tasks.data.dataset import Dataset
from tasks.data.formats.placing import copy, inner_names, write_text


def write(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """`image_path,label,split,metadata` when each image has one concept, else `path,concepts,split,metadata`.

    What is lost, in sentences. Raises Fault when one of several concepts has a separator in its name.
    """
    single = all(len(entry.concepts) == 1 for entry in dataset.annotations)
    odd = [name for name in dataset.concepts if set(name) & set(",;|")]
    if odd and not single:
        raise Fault(
            f"dataset {dataset.name}: the concept {short(odd[0])!r} has a separator (one of , ; |) in it, so that it "
            "cannot stand in a list of several. Rename it in the source"
        )
    names = inner_names(dataset)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image_path", "label", "split", "metadata"] if single else ["path", "concepts", "split", "metadata"])
    (folder / "images").mkdir(parents=True)
    for entry in dataset.annotations:
        path = f"images/{names[entry.image]}"
        copy(dataset, entry, folder / path)
        metadata = json.dumps(entry.metadata, ensure_ascii=False) if entry.metadata else ""
        rows.writerow([path, "|".join(entry.concepts), entry.split, metadata])
    write_text(folder / "labels.csv", text.getvalue())
    return tuple(_lost(dataset))


def _lost(dataset: Dataset) -> list[str]:
    bare = sum(not entry.concepts for entry in dataset.annotations)
    unused = sorted(set(dataset.concepts) - {name for entry in dataset.annotations for name in entry.concepts})
    said: list[tuple[object, str]] = [
        (bare, f"{bare} images without a concept: read back, they are rejected"),
        (unused, f"concepts that no image has: {', '.join(unused)} (folder keeps them)"),
    ]
    return [sentence for count, sentence in said if count]
