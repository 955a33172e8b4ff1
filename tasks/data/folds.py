"""A dataset cut into parts of which each is held out once: no picture and no copy of it is on both sides."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset


def views(dataset: Dataset, folds: int, seed: int) -> Iterator[Dataset]:
    """The dataset once for each fold, its test split being what that fold holds out.

    Cut are train and val together; what the dataset itself calls test is in no view: it stays unseen. Of the pictures
    that are not held out, the same share as in the dataset, val, picks the weights: what is held out never does.
    Copies (of equal bytes) are on one side, and each concept is spread as evenly as that allows, a picture counting
    for its rarest. The same dataset, folds and seed give the same views. Raises Fault for more folds than pictures.
    """
    pool = [entry for entry in dataset.annotations if entry.split != "test"]
    contents = len({entry.sha256 for entry in pool})
    share = sum(entry.split == "val" for entry in pool) / max(1, len(pool))
    parts = max(2, round(1 / share)) if share else 5
    if contents < 2 * folds or folds < 2:
        raise Fault(
            f"dataset {dataset.name}: {folds} folds need {max(4, 2 * folds)} different pictures in train and val, "
            f"there are {contents}. Take fewer folds."
        )
    for held in _parts(pool, folds, seed):
        rest = [entry for i, entry in enumerate(pool) if i not in held]
        picked = next(_parts(rest, min(parts, len({entry.sha256 for entry in rest})), seed))
        split = dict.fromkeys((entry.image for entry in rest), "train")
        split |= {rest[i].image: "val" for i in picked} | {pool[i].image: "test" for i in held}
        yield replace(dataset, annotations=tuple(replace(entry, split=split[entry.image]) for entry in pool))


def _parts(entries: Sequence[Annotation], parts: int, seed: int) -> Iterator[set[int]]:
    """The entries in so many parts, by their places."""
    from sklearn.model_selection import StratifiedGroupKFold

    counts = Counter(name for entry in entries for name in _concepts(entry))
    rarest = [min(_concepts(entry), key=lambda name: (counts[name], name), default="") for entry in entries]
    sizes = Counter(rarest)
    strata = [name if sizes[name] >= parts else "" for name in rarest]  # of fewer it cannot have one in each part
    contents = [entry.sha256 for entry in entries]
    cut = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # The few of a rare concept are one stratum above; they may be fewer than parts all the same.
        warnings.filterwarnings("ignore", "The least populated class in y")
        for _, held in cut.split(np.zeros(len(entries)), strata, contents):
            yield set(held.tolist())


def _concepts(entry: Annotation) -> set[str]:
    return {*entry.concepts, *entry.box_concepts}
