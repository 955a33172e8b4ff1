"""The headline number on parts of the images: where a model is worse than its number as a whole says."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from tasks.data.annotations import Annotation
from tasks.metrics.coco import AREAS
from tasks.metrics.compare import FEWEST, Report
from tasks.metrics.detection import DetectionReport
from tasks.metrics.interval import Redrawn, bootstrap, interval

Array = np.ndarray
ROUNDS = 200  # of a slice's bootstrap: it tells which slices to look at, no more
MOST = 20  # values of a column, from which on it says what is special about an image, not what kind it is
Groups = dict[str, list[int]]


def slices(annotations: Sequence[Annotation], report: Report) -> list[dict[str, Any]]:
    """A row for each part of the images, the worst first.

    annotations: of the rows measured, in their order (of a retrieval: those asked).
    Parts: by split, image size, aspect, source folder, and any column of the metadata, where there are several; by
    concept, and of a detector by the size of the boxes. Columns: `Slice` and `Value`, say which; `Images`; `Metric`;
    `Number` with `Low` and `High`, its 95 % interval; `Whole`, the same of all images. Worst first: those worse
    than the whole beyond their interval, of six images or more, by how much; then the others.
    """
    everything = np.arange(len(annotations))
    whole = report.headline_on(everything)(everything)
    rows: list[dict[str, Any]] = []
    for by, groups in _groupings(annotations).items():
        for value, images in groups.items():
            rows += _measured(by, value, len(images), report.headline_on(np.array(images)), whole)
    rows += _by_concept(report, annotations)
    if isinstance(report, DetectionReport):
        rows += _by_box_size(report, annotations)
    return sorted(rows, key=lambda row: (not worse(row), row["Images"] < FEWEST, -_gap(row)))


def worse(row: dict[str, Any]) -> bool:
    """Whether a slice is worse than the whole beyond its interval."""
    return bool(row["Images"] >= FEWEST and row["High"] < row["Whole"])


def _gap(row: dict[str, Any]) -> float:
    gap = row["Whole"] - row["Number"]
    return -math.inf if math.isnan(gap) else gap


def _measured(by: str, value: str, images: int, redrawn: Redrawn, whole: Any) -> Iterator[dict[str, Any]]:
    draws = bootstrap(redrawn, images, ROUNDS)
    for metric, number in redrawn(np.arange(images)).items():
        yield _row(by, value, images, metric, number, draws[metric], whole[metric])


def _row(by: str, value: str, images: int, metric: str, number: float, draws: Array, whole: float) -> dict[str, Any]:
    bounds = interval(draws)
    return {
        "Slice": by,
        "Value": value,
        "Images": images,
        "Metric": metric,
        "Number": number,
        "Low": bounds.low,
        "High": bounds.high,
        "Whole": whole,
    }


def _by_concept(report: Report, annotations: Sequence[Annotation]) -> Iterator[dict[str, Any]]:
    """What the report says of each concept, against the mean of all; nothing of clusters, which are no labels."""
    redrawn = getattr(report, "by_concept", None)
    if redrawn is None:
        return
    numbers = redrawn(np.arange(len(annotations)))
    draws = bootstrap(redrawn, len(annotations), ROUNDS)
    defined = [number for number in numbers.values() if not math.isnan(number)]
    mean = float(np.mean(defined)) if defined else math.nan
    metric = report.concept_metric  # type: ignore[union-attr]
    column = "box_concepts" if report.task == "detection" else "concepts"
    for name, number in numbers.items():
        images = sum(name in getattr(entry, column) for entry in annotations)
        if images and len(numbers) > 1:
            yield _row("concept", name, images, metric, number, draws[name], mean)


def _by_box_size(report: DetectionReport, annotations: Sequence[Annotation]) -> Iterator[dict[str, Any]]:
    """The recall of small, medium and large boxes (COCO's: 32² and 96² pixels) at the report's threshold."""
    areas = np.array([area for entry in annotations for area in entry.areas], np.float64)
    pairs, matches = report.pairs, report.matches
    sure = matches.hit & (matches.score >= np.float32(report.threshold))
    hit = np.zeros(len(areas), bool)
    hit[(matches.truth + pairs.first_box[pairs.image])[sure]] = True
    sizes = 1 + np.searchsorted([32.0**2, 96.0**2], areas)
    for size, name in enumerate(AREAS[1:], 1):
        which = (sizes == size) & ~pairs.box_ignored
        there, found = (np.bincount(pairs.box_image[mask], minlength=len(annotations)) for mask in (which, which & hit))
        if 0 < which.sum() < (~pairs.box_ignored).sum():
            images = np.flatnonzero(there)
            whole = {"recall": report.summary["recall"]}
            yield from _measured("box size", name, len(images), _recall(found[images], there[images]), whole)


def _recall(found: Array, there: Array) -> Redrawn:
    return lambda images: {"recall": float(found[images].sum() / there[images].sum())}


def _groupings(annotations: Sequence[Annotation]) -> dict[str, Groups]:
    """The indexes of the images by value, of each way to part them that gives several parts."""
    found: dict[str, Groups] = {
        "split": _grouped([entry.split for entry in annotations]),
        "image size": _sizes(annotations),
        "aspect": _grouped([_aspect(entry) for entry in annotations]),
        "folder": _grouped([str(PurePosixPath(entry.image).parent) for entry in annotations]),
    }
    keys = sorted({key for entry in annotations for key in entry.metadata})
    for key in keys:
        found[f"metadata {key}"] = _column([entry.metadata.get(key) for entry in annotations])
    return {by: groups for by, groups in found.items() if 1 < len(groups) <= MOST}


def _aspect(entry: Annotation) -> str:
    ratio = entry.width / entry.height
    return "portrait" if ratio < 0.9 else "landscape" if ratio > 1.1 else "square"


def _sizes(annotations: Sequence[Annotation]) -> Groups:
    """By width × height where there are few sizes, else in thirds by the number of pixels."""
    exact = _grouped([f"{entry.width}×{entry.height}" for entry in annotations])
    if len(exact) <= 4:
        return exact
    return _grouped(_thirds([entry.width * entry.height / 1e6 for entry in annotations], " MP"))


def _column(values: Sequence[Any]) -> Groups:
    """Of a column of the metadata: by its values where they are few, by thirds where they are numbers."""
    if any(isinstance(value, dict | list) for value in values):
        return {}
    there = [value for value in values if value is not None]
    numbers = [value for value in there if isinstance(value, int | float) and not isinstance(value, bool)]
    told = [str(value) for value in there]
    if len(set(told)) > MOST and len(numbers) == len(there):
        told = _thirds(numbers, "")
    names = iter(told)
    return _grouped(["(none)" if value is None else next(names) for value in values])


def _grouped(values: Sequence[str]) -> Groups:
    groups: Groups = defaultdict(list)
    for i, value in enumerate(values):
        groups[value].append(i)
    return dict(sorted(groups.items()))


def _thirds(values: Sequence[float], unit: str) -> list[str]:
    """In which of three parts of about the same number of images each is; a part is named by its bounds."""
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    names = (f"up to {low:.3g}{unit}", f"{low:.3g} to {high:.3g}{unit}", f"above {high:.3g}{unit}")
    return [names[int(value > low) + int(value > high)] for value in values]
