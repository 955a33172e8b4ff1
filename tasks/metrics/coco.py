"""The numbers of COCO's own evaluation, by a fast engine or by COCO's own code: equal to the last bit."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.runtime.faults import Fault, choices
from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.matching import labels_in, overlaps, sides

Array = np.ndarray
ENGINE = "SIGHTLINE_COCO"  # the environment variable that names one of ENGINES
IOUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
AREAS = ("all", "small", "medium", "large")  # small: below 32² square pixels; large: above 96²

# In the order of COCOeval.stats: each is a mean of precisions or recalls over one IoU or all, one area, and at most
# so many (of 1, 10, 100) of the surest regions of a concept in an image.
TWELVE: dict[str, tuple[str, int | None, int, int]] = {
    "map": ("precision", None, 0, 2),
    "map_50": ("precision", 0, 0, 2),
    "map_75": ("precision", 5, 0, 2),
    "map_small": ("precision", None, 1, 2),
    "map_medium": ("precision", None, 2, 2),
    "map_large": ("precision", None, 3, 2),
    "mar_1": ("recall", None, 0, 0),
    "mar_10": ("recall", None, 0, 1),
    "mar_100": ("recall", None, 0, 2),
    "mar_small": ("recall", None, 1, 2),
    "mar_medium": ("recall", None, 2, 2),
    "mar_large": ("recall", None, 3, 2),
}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The boxes of N images and the regions found in them, one row each, as COCO has them.

    image: (G,) int64, from 0.  boxes: (G, 4) float64, x, y, width, height.  areas: (G,) float64.  labels: (G,)
    int64.  crowd: (G,) bool, one box around many.  ignored: (G,) bool, crowd or difficult.
    found: (D, 7) float64: image, x, y, width, height, score, label.  images, concepts: how many.
    """

    image: Array
    boxes: Array
    areas: Array
    labels: Array
    crowd: Array
    ignored: Array
    found: Array
    images: int
    concepts: int


def coco(
    annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...]
) -> tuple[dict[str, float], Array]:
    """The twelve numbers by name, and (10, C, 4) float64: average precision by IoU, concept and area (IOUS, AREAS).

    nan where there is no box to find (COCO's -1). At most the 100 surest regions of a concept in an image count.
    A difficult box (Pascal VOC) is ignored like a crowd, as VOC's own code does, but overlap with it stays
    intersection over union; hotcoco does not know such boxes, so with one in the data COCO's own code answers.
    Raises Fault when the environment names an engine that there is not.
    """
    columns = _columns(annotations, found, concepts)
    engine = ENGINES[chosen()]
    if (columns.ignored != columns.crowd).any():
        engine = _pycocotools
    precision, recall = engine(columns)
    by = {"precision": precision, "recall": recall}
    twelve = {name: _mean(by[kind], iou, area, most) for name, (kind, iou, area, most) in TWELVE.items()}
    average = precision[..., 2].mean(axis=1)  # over the 101 recalls
    return twelve, np.where(average > -1, average, np.nan)


def chosen() -> str:
    """The engine that the environment names: hotcoco where it names none."""
    name = os.environ.get(ENGINE) or "hotcoco"
    if name not in ENGINES:
        raise Fault(f"{ENGINE}: there is no engine {name!r}. {choices(name, tuple(ENGINES))}")
    return name


def _mean(values: Array, iou: int | None, area: int, most: int) -> float:
    """As COCOeval.summarize: the mean of those that are defined, in the same order, so to the same last bit."""
    picked = values[..., area, most] if iou is None else values[iou, ..., area, most]
    defined = picked[picked > -1]
    return float(np.mean(defined)) if defined.size else np.nan


def _columns(annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...]) -> Columns:
    index = {name: i for i, name in enumerate(concepts)}
    counts = [len(entry.boxes) for entry in annotations]
    regions = [len(each) for each in found]
    crowd = np.array([flag for entry in annotations for flag in entry.crowd], bool)
    difficult = np.array([flag for entry in annotations for flag in entry.difficult], bool)
    boxes = np.array([box for entry in annotations for box in entry.boxes], np.float64).reshape(-1, 4)
    rows = np.empty((sum(regions), 7))
    rows[:, 0] = np.repeat(np.arange(len(found)), regions)
    rows[:, 1:5] = sides(np.concatenate([np.zeros((0, 4)), *(each.boxes for each in found)]))
    rows[:, 5] = np.concatenate([np.zeros(0, np.float32), *(each.scores for each in found)])
    rows[:, 6] = np.concatenate([np.zeros(0, np.int64), *(labels_in(each, concepts) for each in found)])
    return Columns(
        image=np.repeat(np.arange(len(annotations)), counts),
        boxes=sides(boxes),
        areas=np.array([area for entry in annotations for area in entry.areas], np.float64),
        labels=np.array([index[name] for entry in annotations for name in entry.box_concepts], np.int64),
        crowd=crowd,
        ignored=crowd | difficult,
        found=rows,
        images=len(annotations),
        concepts=len(concepts),
    )


def _hotcoco(columns: Columns) -> tuple[Array, Array]:
    """By hotcoco: numbers count from 1, since 0 means no match. Answers precision and recall as COCOeval has them."""
    import hotcoco

    images = [{"id": image} for image in range(1, columns.images + 1)]
    categories = [{"id": label, "name": str(label)} for label in range(1, columns.concepts + 1)]
    truth = hotcoco.COCO.from_arrays(
        images,
        categories,
        columns.image + 1,
        columns.labels + 1,
        columns.boxes,
        area=columns.areas,
        iscrowd=columns.crowd.astype(np.int64),
    )
    rows = columns.found.copy()
    rows[:, [0, 6]] += 1
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = hotcoco.COCOeval(truth, truth.load_res(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    arrays = evaluation.eval
    assert arrays is not None
    return np.asarray(arrays["precision"]), np.asarray(arrays["recall"])


def _pycocotools(columns: Columns) -> tuple[Array, Array]:
    """By COCO's own code, with boxes that may be difficult."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    class Evaluation(COCOeval):
        def computeIoU(self, imgId: int, catId: int) -> Array:
            """As the parent's, but that a difficult box is overlapped like any other."""
            boxes, regions = self._gts[imgId, catId], self._dts[imgId, catId]
            if not boxes or not regions:
                return np.zeros((0, 0))
            order = np.argsort([-region["score"] for region in regions], kind="mergesort")
            surest = [regions[i]["bbox"] for i in order[: self.params.maxDets[-1]]]
            return overlaps(
                np.array(surest, np.float64),
                np.array([box["bbox"] for box in boxes], np.float64),
                np.array([box["crowd"] for box in boxes], bool),
            )

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        both = COCO(), COCO()
        for side, rows in zip(both, (_truth_rows(columns), _found_rows(columns)), strict=True):
            side.dataset = _dataset(columns, rows)
            side.createIndex()
        evaluation = Evaluation(*both, iouType="bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def _truth_rows(columns: Columns) -> list[dict[str, Any]]:
    each = zip(
        (columns.image + 1).tolist(),
        columns.boxes.tolist(),
        columns.areas.tolist(),
        (columns.labels + 1).tolist(),
        columns.crowd.tolist(),
        columns.ignored.tolist(),
        strict=True,
    )
    return [
        {"image_id": image, "bbox": box, "area": area, "category_id": label, "crowd": crowd, "iscrowd": int(ignored)}
        for image, box, area, label, crowd, ignored in each
    ]


def _found_rows(columns: Columns) -> list[dict[str, Any]]:
    return [
        {
            "image_id": int(image) + 1,
            "bbox": [x, y, width, height],
            "area": width * height,
            "score": score,
            "category_id": int(label) + 1,
        }
        for image, x, y, width, height, score, label in columns.found.tolist()
    ]


def _dataset(columns: Columns, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": image} for image in range(1, columns.images + 1)],
        "categories": [{"id": label, "name": str(label)} for label in range(1, columns.concepts + 1)],
        "annotations": [row | {"id": i} for i, row in enumerate(rows, 1)],
    }


ENGINES: dict[str, Callable[[Columns], tuple[Array, Array]]] = {"hotcoco": _hotcoco, "pycocotools": _pycocotools}
