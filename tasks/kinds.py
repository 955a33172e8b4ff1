"""What each model type needs of a dataset, and how it is measured and shown: the one table of it.

What it answers is told beside the network, in `models/runtime/kinds.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.runtime.card import Card
from models.runtime.faults import Fault, choices, listed
from models.runtime.predictions import Clusters, Concepts, Embeddings, Regions
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.groups import sheets_of
from tasks.metrics.classification import ClassificationReport, classification
from tasks.metrics.clustering import ClusteringReport, clustering
from tasks.metrics.compare import Report
from tasks.metrics.detection import DetectionReport, detection
from tasks.metrics.retrieval import RetrievalReport, retrieval
from tasks.neighbours import neighbour_sheets
from tasks.worst import worst_errors


@dataclass(frozen=True, slots=True)
class Kind:
    """What is different about one model type for whoever trains and measures it.

    labels: what a dataset must be labelled for, `classification` or `detection`; empty: any, or no label at all.
    shares: whether a dataset to measure on must have a concept that the model knows.
    report: what measuring gives.  measure: of a card, the images, the answers, a threshold and, of boxes, an IoU.
    sheets: pictures of the dataset that are written beside a report.
    """

    labels: str
    shares: bool
    report: type[Report]
    measure: Callable[[Card, Sequence[Annotation], list, float, float], Report]
    sheets: Callable[[Dataset, Sequence[Annotation], Any, Any, Path], list[Path]]


def check_measurable(card: Card, dataset: Dataset) -> None:
    """Raises Fault when a model of this type has nothing to be measured by on a dataset."""
    kind = KINDS[card.type]
    if kind.labels not in ("", dataset.task):
        raise Fault(f"dataset {dataset.name} is labelled for {dataset.task}, the model is a {card.type}")
    if kind.shares and not set(dataset.concepts) & set(card.concepts):
        first = next(iter(dataset.concepts), "")
        raise Fault(
            f"dataset {dataset.name} and the model share no concept: the dataset has "
            f"{listed(dataset.concepts) or 'none'}. {choices(first, card.concepts, 'The model knows')}"
        )


def _concepts(card: Card, images: Sequence[Annotation], found: list[Concepts], least: float, iou: float) -> Report:
    scores = np.stack([answer.scores for answer in found])
    return classification(images, scores, card.concepts, card.exclusive, least)


def _regions(card: Card, images: Sequence[Annotation], found: list[Regions], least: float, iou: float) -> Report:
    return detection(images, found, card.concepts, least, iou)


def _embeddings(card: Card, images: Sequence[Annotation], found: list[Embeddings], least: float, iou: float) -> Report:
    return retrieval(images, np.stack([answer.vector for answer in found]))


def _clusters(card: Card, images: Sequence[Annotation], found: list[Clusters], least: float, iou: float) -> Report:
    return clustering(images, np.stack([answer.distances for answer in found]), card.concepts)


KINDS = {
    "visual-classifier": Kind("classification", True, ClassificationReport, _concepts, worst_errors),
    "visual-detector": Kind("detection", True, DetectionReport, _regions, worst_errors),
    "visual-embedder": Kind("classification", False, RetrievalReport, _embeddings, neighbour_sheets),
    "embedding-classifier": Kind("classification", True, ClassificationReport, _concepts, worst_errors),
    "clusterer": Kind("", False, ClusteringReport, _clusters, sheets_of),
}
