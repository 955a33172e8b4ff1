"""Whether a dataset can teach a model: every reason against it in one answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from models.parameters import NetworkParameters, Parameters
from models.runtime.faults import Fault, listed
from tasks.data.annotations import distinct
from tasks.data.dataset import Dataset
from tasks.data.loading import entries
from tasks.data.narrowing import only
from tasks.kinds import KINDS

LEAST = 3  # pictures of a concept, below which an embedding-classifier is not begun; about ten teach well


def check_learnable(dataset: Dataset, given: Parameters, name: str) -> None:
    """Raises Fault that lists every reason why this dataset cannot train the model of that name."""
    dataset = only(dataset, given.concepts)
    faults = [*_labels(dataset, given), *_splits(dataset, given), *CONCEPTS[given.type](dataset, given)]
    if faults:
        raise Fault(f"dataset {dataset.name}: cannot train {name}: {'; '.join(faults)}.")


def unseen(dataset: Dataset, splits: str) -> list[str]:
    """Concepts that no image of these splits shows: nothing can learn them."""
    shown = _shown(dataset, splits)
    return [name for name in dataset.concepts if name not in shown]


def _shown(dataset: Dataset, splits: str) -> Counter[str]:
    """How many images of these splits show each concept; bytewise twins are one."""
    shown = (name for entry in distinct(entries(dataset, splits)) for name in {*entry.concepts, *entry.box_concepts})
    return Counter(name for name in shown if name in dataset.concepts)


def _labels(dataset: Dataset, given: Any) -> Iterator[str]:
    wanted = KINDS[given.type].labels
    if wanted not in ("", dataset.task):
        yield f"its labels are for {dataset.task}, and {given.template} needs {wanted}"
    several = not dataset.exclusive and dataset.task == "classification"
    if several and getattr(given, "concepts_mutually_exclusive", False):
        yield "some images have several concepts or none; set concepts_mutually_exclusive: false"
    if several and given.template == "angular_margin":
        yield "some images have several concepts or none; angular_margin needs one concept an image"


def _splits(dataset: Dataset, given: Any) -> Iterator[str]:
    picked = isinstance(given, NetworkParameters) and (given.splits == "train" or not given.epochs)  # on val
    wanted = ("train", "val") if picked else ("train",)
    for split in wanted:
        if not dataset.split(split):
            yield f"its {split} split is empty (ingest it under another name with --split 80/10/10)"
    if not picked and getattr(given, "early_stopping_epochs", False):
        yield "with splits train+val nothing is measured to stop early by; set early_stopping_epochs: 0"


def _classifier(dataset: Dataset, given: Any) -> Iterator[str]:
    shown = len(_shown(dataset, given.splits))
    if shown < 2:
        yield f"a classifier needs two concepts or more, and its training images show {shown}"


def _detector(dataset: Dataset, given: Any) -> Iterator[str]:
    if not _shown(dataset, given.splits):
        yield "no training image has a box"


def _embedder(dataset: Dataset, given: Any) -> Iterator[str]:
    shown = len(_shown(dataset, given.splits))
    if given.epochs and shown < 2:
        yield f"an embedder needs two concepts or more, and its training images show {shown}"
    if given.splits != "train" or not given.epochs:
        return  # nothing is picked by val
    val = _shown(dataset, "val")
    if len(val) == 1:
        yield f"its val images show {next(iter(val))!r} alone: whatever is nearest is right, and says nothing"
    elif dataset.split("val") and not any(count > 1 for count in val.values()):
        yield "no two of its val images share a concept: there is nothing to recall, and no epoch to pick by it"


def _on_embeddings(dataset: Dataset, given: Any) -> Iterator[str]:
    shown = _shown(dataset, given.splits)
    if len(dataset.concepts) < 2:
        yield f"a classifier needs two concepts or more, and it has {len(dataset.concepts)}"
    none = [name for name in dataset.concepts if not shown[name]]
    if none:
        yield f"no positive example for {listed(none)} in {given.splits}"
    few = [f"{name} {shown[name]}" for name in dataset.concepts if 0 < shown[name] < LEAST]
    if few:
        yield f"too few images in {given.splits}: {', '.join(few)}; {LEAST} of each are needed, about ten teach well"


def _clusterer(dataset: Dataset, given: Any) -> Iterator[str]:
    yield from ()


CONCEPTS = {
    "visual-classifier": _classifier,
    "visual-detector": _detector,
    "visual-embedder": _embedder,
    "embedding-classifier": _on_embeddings,
    "clusterer": _clusterer,
}
