"""Which index is meant, and which of its pictures: by dataset and model, by concept, split and metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.runtime.faults import Fault, choices, listed, short
from tasks.data.annotations import SPLITS
from tasks.index_files import HEAD, VisualIndex, home, open_index
from tasks.registry import resolve


@dataclass(frozen=True, slots=True)
class Where:
    """Of which pictures: those that have one of `concepts`, one of `splits` and, of each key in `metadata`, one value.

    What is empty asks nothing.
    """

    concepts: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


def chosen(index: VisualIndex, where: Where) -> np.ndarray:
    """(N,) bool: which pictures of an index are such. Raises Fault where one of the names is of no picture of it."""
    rows = list(index.rows())
    mask = np.ones(len(rows), bool)
    if where.splits:
        _known("split", where.splits, {row.split for row in rows} | set(SPLITS), index)
        mask &= [row.split in where.splits for row in rows]
    if where.concepts:
        wanted = set(where.concepts)
        _known("concept", where.concepts, {name for row in rows for name in row.concepts}, index)
        mask &= [not wanted.isdisjoint(row.concepts) for row in rows]
    keys = {key for row in rows for key in row.metadata} if where.metadata else set()
    for key in dict.fromkeys(key for key, _ in where.metadata):
        _known("metadata key", [key], keys, index)
        wanted = {value for name, value in where.metadata if name == key}
        values = [set(_texts(row.metadata.get(key))) for row in rows]
        _known(f"{key}", wanted, set().union(*values), index)
        mask &= [not wanted.isdisjoint(texts) for texts in values]
    return mask


def _texts(value: Any) -> Iterator[str]:
    """What a value of metadata is called on the command line: a text as it is, else as JSON has it; of a list each."""
    if isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _known(what: str, given: Iterable[str], known: set[str], index: VisualIndex) -> None:
    for name in given:
        if name not in known:
            raise Fault(f"no picture of the index of {index} has the {what} {short(name)!r}. {choices(name, known)}")


def indexes() -> tuple[list[VisualIndex], list[Fault]]:
    """Every index there is, by dataset and model, the newest first; and what is wrong with those that are damaged."""
    found, faults = [], []
    for path in sorted(home().glob(f"*/*/*/{HEAD}")):
        if not path.parent.name.startswith("."):
            try:
                found.append(open_index(path.parent))
            except Fault as fault:
                faults.append(fault)
    found.sort(key=lambda index: index.head.created, reverse=True)
    return sorted(found, key=lambda index: (index.head.dataset, index.head.model)), faults


def index_of(dataset: str = "", model: str = "") -> VisualIndex:
    """The index that is meant: the only one there is, or that of a dataset (`name`, `name@version`) by a model.

    Of several versions of a dataset the one in data/, else that indexed last.
    Raises Fault, with those there are, where there is none or more than one.
    """
    every, faults = indexes()
    name, _, digest = dataset.partition("@")
    build = f"`sightline index build {short(name) or 'DATASET'} --model {short(model) or 'NAME'}` makes it."
    if not every and faults:
        raise faults[0]
    if not every:
        raise Fault(f"there is no index yet. {build}")
    found = [index for index in every if name in ("", index.head.dataset)]
    if not found:
        known = choices(name, {index.head.dataset for index in every}, "Indexed")
        raise Fault(f"there is no index of a dataset {short(name)!r}. {known} {build}")
    found = [index for index in found if index.head.dataset_version.startswith(digest)]
    if not found:
        raise Fault(f"there is no index of {short(name)} at {short(digest)}. {_those(every)} {build}")
    if model:
        version = resolve(model)
        found = [index for index in found if index.head.logged_model == version.logged_model]
        if not found:
            raise Fault(f"there is no index of {name or 'any dataset'} by {version}. {_those(every)} {build}")
    if len({(index.head.dataset, index.head.logged_model) for index in found}) > 1:
        raise Fault(f"there are several indexes. {_those(found)} Say which: --dataset NAME, --model NAME/number.")
    here = present(found[0].head.dataset)
    return next((index for index in found if index.head.dataset_version == here), found[0])


def _those(found: Iterable[VisualIndex]) -> str:
    return f"There are: {listed(dict.fromkeys(f'{i.head.dataset} by {i.head.model}' for i in found))}."


def present(dataset: str) -> str:
    """The version of a dataset that data.dvc names now; empty where it names none."""
    from tasks.data.version import versions

    return versions().get(dataset, "")


def behind(index: VisualIndex) -> str:
    """A sentence where the index is not of the dataset as it is now; empty where it is."""
    head = index.head
    now = present(head.dataset)
    if head.folder or not now or now == head.dataset_version:
        return ""
    return (
        f"searching {head.dataset} as it was at {head.dataset_version[:8]}; it is at {now[:8]} now. "
        f"`sightline index build {head.dataset} --model {head.model}` brings in what is new."
    )
