"""The numbers of COCO's own evaluation, by COCO's own code."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.matching import labels_in, overlaps, sides

Array = np.ndarray

# In the order of COCOeval.stats.
TWELVE = (
    "map",
    "map_50",
    "map_75",
    "map_small",
    "map_medium",
    "map_large",
    "mar_1",
    "mar_10",
    "mar_100",
    "mar_small",
    "mar_medium",
    "mar_large",
)


def coco(
    annotations: Sequence[Annotation], found: Sequence[Regions], concepts: tuple[str, ...]
) -> tuple[dict[str, float], Array]:
    """The twelve numbers by name, and (10, C) float64: average precision by IoU (.50, .55 … .95) and concept.

    nan where there is no box to find (COCO's -1). Small is less than 32² square pixels, large more than
    96². At most the 100 surest regions of a concept in an image count. A difficult box (Pascal VOC) is
    ignored like a crowd, as VOC's own code does, but overlap with it stays intersection over union.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        evaluation = _evaluation(_truth(annotations, concepts), _found(found, concepts))
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = [float(value) if value > -1 else np.nan for value in evaluation.stats]
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # (IoU, recall, concept) of all areas
    average = precision.mean(axis=1)
    return dict(zip(TWELVE, stats, strict=True)), np.where(average > -1, average, np.nan)


def _evaluation(truth: dict[str, Any], found: dict[str, Any]) -> Any:
    """A COCOeval for boxes that knows `difficult`."""
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

    both = COCO(), COCO()
    for side, dataset in zip(both, (truth, found), strict=True):
        side.dataset = dataset
        side.createIndex()
    return Evaluation(*both, iouType="bbox")


def _truth(annotations: Sequence[Annotation], concepts: tuple[str, ...]) -> dict[str, Any]:
    """The annotations as a COCO dataset. Numbers count from 1: COCOeval takes the id 0 for no match."""
    index = {name: i + 1 for i, name in enumerate(concepts)}
    rows = []
    for image, entry in enumerate(annotations, 1):
        boxes = sides(np.array(entry.boxes, np.float64).reshape(-1, 4)).tolist()
        columns = zip(boxes, entry.areas, entry.box_concepts, entry.crowd, entry.difficult, strict=True)
        rows += [
            {
                "image_id": image,
                "bbox": box,
                "area": area,
                "category_id": index[concept],
                "iscrowd": int(crowd or difficult),
                "crowd": crowd,
            }
            for box, area, concept, crowd, difficult in columns
        ]
    return _dataset(len(annotations), concepts, rows)


def _found(found: Sequence[Regions], concepts: tuple[str, ...]) -> dict[str, Any]:
    """The regions as a COCO dataset."""
    rows = []
    for image, regions in enumerate(found, 1):
        boxes = sides(regions.boxes)
        columns = zip(
            boxes.tolist(),
            boxes.prod(axis=1, where=[False, False, True, True]).tolist(),
            regions.scores.tolist(),
            (labels_in(regions, concepts) + 1).tolist(),
            strict=True,
        )
        rows += [
            {"image_id": image, "bbox": box, "area": area, "score": score, "category_id": label}
            for box, area, score, label in columns
        ]
    return _dataset(len(found), concepts, rows)


def _dataset(images: int, concepts: tuple[str, ...], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": image} for image in range(1, images + 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(concepts, 1)],
        "annotations": [row | {"id": i} for i, row in enumerate(rows, 1)],
    }
