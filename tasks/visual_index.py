"""The verb index: pictures of a dataset version, by a version of a model, made ready for being found by a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from tasks.data import nearest
from tasks.data.annotations import Annotation
from tasks.data.graph import QUESTIONS, Graph
from tasks.data.nearest import unit
from tasks.embeddings import embeddings
from tasks.files import alone_at
from tasks.index_files import GRAPH, ROWS, VECTORS, VisualIndex, home, open_index, whole, write_head, write_rows
from tasks.page import log, show
from tasks.plan import PinnedDataset
from tasks.registry import Version
from tasks.visual_search import open_graph, watched

ADDED = 10_000  # vectors that a graph takes at a time
ENOUGH = 100  # new vectors that say something of how much a graph finds
LEAST = 0.99  # share of the ten nearest that a graph must find to be of use


class Built(BaseModel):
    """An index that is there now.

    images: that it holds, `new` of them in no earlier index of this dataset by this version of the model; `copies` have
    the bytes of another one.  kind: `exact` or `hnsw`, which finds `recall` of the ten nearest.
    unchanged: it was there already, and nothing was done.
    megabytes: of its files, 10⁶ bytes.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    dataset_version: str
    model: str
    images: int
    new: int
    copies: int
    dimension: int
    kind: str
    recall: float
    unchanged: bool
    megabytes: float
    folder: str


@task(cache_policy=NO_CACHE, task_run_name="index {dataset.name} by {version}")
def build_index(version: Version, dataset: PinnedDataset) -> Built:
    """Embed a dataset's pictures with a version, those alone that it never embedded, and keep them as an index.

    Up to `nearest.EXACT` pictures every search looks at all; of more a graph is made, to which a dataset's next version
    adds what is new, where all that was in it is still there.
    Raises Fault where the dataset is empty, and where a vector is not finite.
    """
    folder = folder_of_index(dataset, version)
    with alone_at(folder.parent / ".lock", lambda: log("another build of this index is running: waiting for it")):
        if index := _sound(folder):
            return _told(index, new=0, unchanged=True)
        opened = dataset.open()
        if not len(opened):
            raise Fault(f"dataset {dataset.name}: it has no image, there is nothing to find. Ingest some first.")
        before = _before(folder)
        known = {row.sha256 for row in before.rows()} if before else set()
        entries = _in_order(opened.annotations, before)
        vectors = _unit(embeddings(version, opened, entries), entries, version)
        _write(folder, dataset, version, entries, vectors, before)
        new = sum(entry.sha256 not in known for entry in entries)
        return _told(open_index(folder), new, unchanged=False)


def folder_of_index(dataset: PinnedDataset, version: Version) -> Path:
    """Where the index of that dataset version by that version of a model lies, or would."""
    slug = re.sub(r"[^\w.-]", "-", f"{version.slug}-{version.logged_model[-8:]}")
    return home() / dataset.name / slug / dataset.version.removesuffix(".dir")


def _sound(folder: Path) -> VisualIndex | None:
    """The index in a folder; None where there is none, or one that is damaged, which is then made again."""
    if not folder.exists():
        return None
    try:
        return open_index(folder)
    except Fault as fault:
        log(f"{fault} It is made again.")
        return None


def _before(folder: Path) -> VisualIndex | None:
    """The index made last, of another version of the dataset by the same version of the model."""
    found = [_sound(path) for path in folder.parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return max((index for index in found if index), key=lambda index: index.head.created, default=None)


def _in_order(entries: Sequence[Annotation], before: VisualIndex | None) -> list[Annotation]:
    """By image; for a graph behind what was in an earlier one, as it was there, if all of that is still here.

    For a new graph QUESTIONS evenly among them come last: these it is asked about before it holds them.
    """
    if len(entries) <= nearest.EXACT:
        return list(entries)
    if before and before.graph:
        here = {(entry.image, entry.sha256): entry for entry in entries}
        first = [here.pop((row.image, row.sha256), None) for row in before.rows()]
        kept = [entry for entry in first if entry]
        if len(kept) == len(first):
            return kept + list(here.values())
    last = {*np.linspace(0, len(entries) - 1, min(QUESTIONS, len(entries) // 4), dtype=int).tolist()}
    return [entry for i, entry in enumerate(entries) if i not in last] + [entries[i] for i in sorted(last)]


def _unit(vectors: np.ndarray, entries: Sequence[Annotation], version: Version) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise Fault(
            f"{version} answers {len(bad)} of {len(entries)} pictures with numbers that are not finite, the first "
            f"{entries[bad[0]].image}. Its training went wrong, or its weights are damaged: take another version."
        )
    return unit(vectors)


def _write(
    folder: Path,
    dataset: PinnedDataset,
    version: Version,
    entries: Sequence[Annotation],
    vectors: np.ndarray,
    before: VisualIndex | None,
) -> None:
    with whole(folder) as beside:
        np.save(beside / VECTORS, vectors, allow_pickle=False)
        write_rows(beside / ROWS, entries)
        recall = _graph(vectors, before, beside / GRAPH) if len(entries) > nearest.EXACT else 0.0
        write_head(
            beside,
            dataset=dataset.name,
            dataset_version=dataset.version,
            folder="" if dataset.here else dataset.folder,
            model=str(version),
            logged_model=version.logged_model,
            count=len(entries),
            dimension=vectors.shape[1],
            kind="hnsw" if recall else "exact",
            recall=recall or 1.0,
            created=datetime.now(UTC).isoformat(),
            zeros=int(np.count_nonzero(~vectors.any(axis=1))),
        )


def _graph(vectors: np.ndarray, before: VisualIndex | None, path: Path) -> float:
    """Write a graph: the earlier one with what is new where its vectors are the first of these, else a new one.

    Returns the share of the ten nearest that it finds; 0 where that is too few, and there is none.
    """
    if before and before.graph and np.array_equal(before.vectors, vectors[: before.head.count]):
        graph, start = open_graph(before, changing=True), before.head.count
        log(f"adding {len(vectors) - start} vectors to the graph of {start}")
    else:
        graph, start = Graph.new(vectors), 0
        log(f"making a graph of {len(vectors)} vectors")
    held = max(start, len(vectors) - min(QUESTIONS, len(vectors) // 4))
    for at in watched(range(start, held, ADDED), "making the graph"):
        graph.add(vectors[at : min(at + ADDED, held)])
    if before and before.graph and start and len(vectors) - held < ENOUGH:
        recall = before.head.recall  # too few are new to ask it about
    else:
        recall = graph.tune(vectors[:held], vectors[held:], least=graph.walk if start else 0)
    graph.add(vectors[held:])
    if recall < LEAST:
        log(f"walking the graph finds {recall:.3f} of the ten nearest, too few: every search will look at all vectors")
        return 0.0
    log(f"walking the graph finds {recall:.3f} of the ten nearest, with {graph.walk} candidates")
    graph.write(path)
    return recall


def _told(index: VisualIndex, new: int, unchanged: bool) -> Built:
    head = index.head
    digests = {row.sha256 for row in index.rows()}
    built = Built(
        dataset=head.dataset,
        dataset_version=head.dataset_version,
        model=head.model,
        images=head.count,
        new=new,
        copies=head.count - len(digests),
        dimension=head.dimension,
        kind=head.kind,
        recall=head.recall,
        unchanged=unchanged,
        megabytes=round(sum(head.sizes.values()) / 1e6, 1),
        folder=str(index.folder),
    )
    text = f"# Index of {built.dataset} by {built.model}\n\n{sentence(built)}\n\nFiles: `{built.folder}`"
    show(text, f"index-{built.dataset}-{built.model}", f"Index of {built.dataset} by {built.model}")
    return built


def sentence(built: Built) -> str:
    """What was done, in words."""
    what = f"{built.images} pictures of {built.dataset} at {built.dataset_version[:8]}, {built.dimension} numbers each"
    searched = (
        "a search looks at all"
        if built.kind == "exact"
        else f"a search walks a graph (HNSW) that finds {built.recall:.3f} of the ten nearest"
    )
    copies = f", {built.copies} of them copies byte for byte" if built.copies else ""
    done = "nothing is new, the index is as it was" if built.unchanged else f"{built.new} of them new"
    return f"{what}{copies}: {done}. {built.megabytes} MB; {searched}."
