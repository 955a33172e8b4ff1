"""How clearly images fall into clusters, and how well these agree with concepts where images have some."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.metrics.interval import Draws, OnImages, bootstrap, bounds

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ClusteringReport:
    """What was measured of a clusterer on a set of images. nan is undefined.

    concepts: the clusters' names.  summary: `silhouette`, 0 to 1, with an interval, `…_low` and `…_high`; where
    images have concepts `purity` and `nmi` too, 0 to 1; and counts.
    per_concept: one row a cluster.  distances: (N, K) float32, of each image to each centre.
    draws: the silhouette in each round of the bootstrap that its bounds are of; headline_on: that of some images.
    images: how many.  notes: what a reader must know to read the numbers right.
    """

    task: ClassVar[str] = "clustering"
    headline: ClassVar[str] = "silhouette"
    counted_from: ClassVar[float | None] = None

    concepts: tuple[str, ...]
    summary: dict[str, float]
    per_concept: tuple[dict[str, Any], ...]
    distances: Array
    draws: Draws
    headline_on: OnImages
    images: int
    notes: tuple[str, ...] = ()

    @property
    def conditions(self) -> str:
        """What the headline is measured on, beside the number of images."""
        return f" in {len(self.concepts)} clusters"

    @property
    def details(self) -> dict[str, Any]:
        """What else report.json holds."""
        return {}


def clustering(annotations: Sequence[Annotation], distances: Array, names: tuple[str, ...]) -> ClusteringReport:
    """Measure distances (N, K) float32 of N images to the centres of K clusters.

    silhouette: the simplified one, (b - a) / b of an image's distances a and b to the nearest and the next centre
    (Hruschka 2004), mean over the images.  purity: the share of images whose concept is the most frequent one of
    their cluster.  nmi: normalised mutual information of clusters and concepts (arithmetic mean; Strehl 2002).
    Raises Fault where there is no image.
    """
    if not annotations:
        raise Fault("there is no image to measure on: the split is empty. Name another with --split.")
    if distances.shape != (len(annotations), len(names)):
        raise ValueError(f"distances must be ({len(annotations)}, {len(names)}), got {distances.shape}")
    labels, clear = distances.argmin(axis=1), silhouettes(distances)
    told = [concept_of(entry) for entry in annotations]
    draws = bootstrap(partial(_silhouette, clear), len(clear))
    summary = {"silhouette": float(clear.mean()), **bounds(draws)}
    known = [i for i, concept in enumerate(told) if concept]
    if known:
        summary |= _agreement(labels[known], [told[i] for i in known])
    empty = [name for i, name in enumerate(names) if not (labels == i).any()]
    return ClusteringReport(
        concepts=names,
        summary=summary | {"images": len(annotations), "clusters": len(names)},
        per_concept=tuple(
            _row(name, labels == i, clear, distances[:, i], told, bool(known)) for i, name in enumerate(names)
        ),
        distances=distances,
        draws=draws,
        headline_on=lambda images: partial(_silhouette, clear[images]),
        images=len(annotations),
        notes=_notes(empty, len(annotations) - len(known), len(annotations)),
    )


def _silhouette(clear: Array, images: Array) -> dict[str, float]:
    """On redrawn images."""
    return {"silhouette": float(clear[images].mean())}


def silhouettes(distances: Array) -> Array:
    """(N,) float64, 0 to 1, how clearly each belongs to its cluster; 0 where all centres are in one place."""
    nearest, other = np.partition(distances.astype(np.float64), 1, axis=1)[:, :2].T
    return np.divide(other - nearest, other, out=np.zeros(len(distances)), where=other > 0)


def concept_of(entry: Annotation) -> str:
    """The one concept of an image, as a whole or of all its boxes; empty where it has none or several."""
    names = set(entry.concepts) or set(entry.box_concepts)
    return names.pop() if len(names) == 1 else ""


def _agreement(labels: Array, told: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import normalized_mutual_info_score  # seconds to import, so only here

    pairs = Counter(zip(labels.tolist(), told, strict=True))
    most = {cluster: max(n for (c, _), n in pairs.items() if c == cluster) for cluster in set(labels.tolist())}
    return {
        "purity": sum(most.values()) / len(told),
        "nmi": float(normalized_mutual_info_score(told, labels)),
    }


def _row(
    name: str, inside: Array, clear: Array, distance: Array, told: Sequence[str], labelled: bool
) -> dict[str, Any]:
    """One cluster's line; what most of it is, and how much of it is that, where images have concepts."""
    size = int(inside.sum())
    row = {
        "Cluster": name,
        "Total Images": size,
        "Silhouette": float(clear[inside].mean()) if size else math.nan,
        "Distance": float(distance[inside].mean()) if size else math.nan,
    }
    if not labelled:
        return row
    counts = Counter(concept for concept, its in zip(told, inside, strict=True) if its and concept)
    concept, most = counts.most_common(1)[0] if counts else ("", 0)
    return row | {"Mostly": concept, "Purity": most / counts.total() if counts else math.nan}


def _notes(empty: Sequence[str], unlabelled: int, images: int) -> tuple[str, ...]:
    notes = []
    if empty:
        notes.append(f"no image here falls into {', '.join(empty)}")
    if 0 < unlabelled < images:
        notes.append(f"{unlabelled} images have no concept or several: purity and nmi are without them")
    return tuple(notes)
