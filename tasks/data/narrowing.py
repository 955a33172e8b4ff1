"""A dataset as if it had some of its concepts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from models.runtime.faults import Fault, choices
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset


def only(dataset: Dataset, concepts: Sequence[str]) -> Dataset:
    """The dataset with these concepts alone, in its own order; without any named, as it is.

    Boxes and labels of other concepts are left out. So are pictures of other concepts where concepts exclude each
    other: there they would show nothing that can be learned. Elsewhere they stay, as pictures that show none.
    Raises Fault for a concept that the dataset does not have.
    """
    if not concepts:
        return dataset
    for name in concepts:
        if name not in dataset.concepts:
            raise Fault(f"concepts: dataset {dataset.name} has no {name!r}. {choices(name, dataset.concepts)}")
    kept = frozenset(concepts)
    entries = tuple(_narrowed(entry, kept) for entry in dataset.annotations)
    if dataset.task == "classification" and dataset.exclusive:
        entries = tuple(entry for entry in entries if entry.concepts)
    return replace(
        dataset,
        concepts=tuple(name for name in dataset.concepts if name in kept),
        annotations=entries,
    )


def as_learned(dataset: Dataset, told: Sequence[str]) -> Dataset:
    """The dataset with those of its concepts alone that a model was told to learn; told none, as it is."""
    return only(dataset, [name for name in told if name in dataset.concepts])


def _narrowed(entry: Annotation, kept: frozenset[str]) -> Annotation:
    """An image's annotation with the boxes and labels of the concepts kept."""
    boxes = [i for i, name in enumerate(entry.box_concepts) if name in kept]
    columns = ("boxes", "areas", "box_concepts", "crowd", "difficult")
    chosen: dict[str, Any] = {column: tuple(getattr(entry, column)[i] for i in boxes) for column in columns}
    return replace(entry, concepts=tuple(name for name in entry.concepts if name in kept), **chosen)
