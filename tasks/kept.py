"""A version's answers on a split of a dataset: asked for once, kept beside its report."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.runtime.faults import Fault
from models.runtime.predictions import Answer, Clusters, Concepts, Embeddings, Regions
from tasks.answers import answers, predictor
from tasks.artifacts import card
from tasks.data.annotations import Annotation
from tasks.data.loading import entries
from tasks.files import write
from tasks.kinds import check_measurable
from tasks.plan import PinnedDataset
from tasks.registry import Version
from tasks.workspace import state

Array = np.ndarray
NAME = "answers.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What a version says of the images of a split, in their order.

    milliseconds: from file to answer, each image, when it was asked.
    """

    annotations: tuple[Annotation, ...]
    found: tuple[Answer, ...]
    milliseconds: float

    def on(self, images: Sequence[Annotation]) -> list[Answer]:
        """The answers on some of the images, in their order."""
        place = {entry.image: i for i, entry in enumerate(self.annotations)}
        return [self.found[place[entry.image]] for entry in images]


def report_folder(version: Version, dataset: PinnedDataset, split: str) -> Path:
    """Where the report of a version on a split lies."""
    where = dataset.name if dataset.here else f"{dataset.name}@{dataset.version[:8]}"
    return state() / "reports" / version.slug / f"{where}-{split}"


def answered(version: Version, dataset: PinnedDataset, split: str) -> Answered:
    """A version's answers on some splits, named with `+` between; kept ones where version and data are the same.

    Raises Fault when model and labels do not fit, or the split is empty.
    """
    opened = dataset.open()
    images = tuple(entries(opened, split))
    if not images:
        raise Fault(f"dataset {dataset.name}: its {split} split is empty, there is nothing to measure on")
    check_measurable(card(version), opened)
    path, digest = report_folder(version, dataset, split) / NAME, _digest(version, dataset, split)
    kept = _kept(path, digest)
    if kept is not None and len(kept[0]) == len(images):
        return Answered(images, kept[0], kept[1])
    predictor(version)  # to load it is no part of an image's time
    began = time.monotonic()
    paths = [opened.path(entry) for entry in images]
    found = tuple(answer for _, _, answer in answers(version, paths, f"{version} on {dataset.name} {split}"))
    milliseconds = round((time.monotonic() - began) / len(images) * 1000, 2)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **_columns(found), digest=digest, milliseconds=milliseconds)
    write(path, buffer.getvalue())
    return Answered(images, found, milliseconds)


def _digest(version: Version, dataset: PinnedDataset, split: str) -> str:
    meaning = [version.logged_model, str(version), dataset.version, dataset.labels, split]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def _kept(path: Path, digest: str) -> tuple[tuple[Answer, ...], float] | None:
    """The answers of a file, and how long one took; None where it has others, or is none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as columns:
            if str(columns["digest"]) != digest:
                return None
            return tuple(READ[str(columns["kind"])](columns)), float(columns["milliseconds"])
    except Exception:  # numpy and zipfile have a dozen words for a damaged file: it is written anew
        return None


def _columns(found: Sequence[Any]) -> dict[str, Any]:
    """Answers of one kind as columns, one image's behind the other's."""
    kind = type(found[0])
    columns: dict[str, Any] = {"kind": kind.__name__, "count": np.array([len(each) for each in found])}
    for name in COLUMNS[kind]:
        columns[name] = np.concatenate([getattr(each, name) for each in found])
    if kind in (Concepts, Regions):
        columns["concepts"] = json.dumps(found[0].concepts)
    return columns


def _pieces(columns: Any, name: str) -> list[Array]:
    return np.split(columns[name], np.cumsum(columns["count"])[:-1])


def _regions(columns: Any) -> list[Answer]:
    concepts = tuple(json.loads(str(columns["concepts"])))
    each = zip(*(_pieces(columns, name) for name in COLUMNS[Regions]), strict=True)
    return [Regions(boxes, scores, labels, concepts) for boxes, scores, labels in each]


def _concepts(columns: Any) -> list[Answer]:
    concepts = tuple(json.loads(str(columns["concepts"])))
    return [Concepts(scores, concepts) for scores in _pieces(columns, "scores")]


COLUMNS: dict[type, tuple[str, ...]] = {
    Concepts: ("scores",),
    Regions: ("boxes", "scores", "labels"),
    Embeddings: ("vector",),
    Clusters: ("distances",),
}
READ: dict[str, Callable[[Any], list[Answer]]] = {
    "Concepts": _concepts,
    "Regions": _regions,
    "Embeddings": lambda columns: [Embeddings(vector) for vector in _pieces(columns, "vector")],
    "Clusters": lambda columns: [Clusters(distances) for distances in _pieces(columns, "distances")],
}
