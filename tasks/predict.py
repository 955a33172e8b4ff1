"""The verb predict: pictures in, JSON Lines and Parquet out, a shard at a time."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.card import Card
from models.runtime.faults import Fault, short
from models.runtime.kinds import KINDS
from models.runtime.predictions import Answer, Clusters, Concepts, Embeddings, Regions
from tasks.answers import answers, at_least, predictor
from tasks.files import alone_at
from tasks.page import log, show
from tasks.registry import Version
from tasks.workspace import root

SHARD = 512  # pictures a Prefect task: a row in the UI for each, and no more than that is done twice
PARTS = ".sightline-parts"  # a name that nobody else has: what lies in it is taken away
LOCK = "lock"
RESULTS = ("predictions.parquet", "rejected.csv", "drawn")  # beside predictions.jsonl, which comes last
ROOM = 1_000_000  # bytes that are free where answers are written, or it is not begun
PICTURED = 4  # drawn pictures on the run's page


class Shard(BaseModel):
    """A part of a prediction: its file of JSON Lines, how often each concept was found, what could not be read."""

    model_config = ConfigDict(frozen=True)

    file: str
    images: int
    found: dict[str, int] = {}
    rejected: list[dict[str, str]] = []


def shards(pictures: list[Path]) -> Iterator[tuple[int, list[Path]]]:
    """(position of the first, pictures), SHARD at a time."""
    for at in range(0, len(pictures), SHARD):
        yield at, pictures[at : at + SHARD]


@contextmanager
def output_folder(version: Version, given: str) -> Iterator[Path]:
    """The folder asked for, or a new one under `predictions/`: this prediction's alone until it is done.

    Raises Fault when it holds predictions already, when another one is writing there, and when nothing can be.
    """
    stamp = f"{version.name}-{version.number}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = Path(given) if given else root() / "predictions" / stamp
    with ExitStack() as held:
        with _writing(folder):
            folder = folder if given else _new_folder(folder.parent, stamp)
            _check_free(folder)
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone_at(folder / PARTS / LOCK, lambda: _busy(folder)))
            _check_free(folder)  # the one before may just have become done
            for left in (*folder.glob(f"{PARTS}/*.jsonl"), *_results(folder)):  # an interrupted prediction's
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            if shutil.disk_usage(folder).free < ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield folder


def _check_free(folder: Path) -> None:
    if (folder / "predictions.jsonl").exists():
        raise Fault(f"{folder}: holds predictions already. Name another folder, or remove it.")
    taken = [path.name for path in _results(folder)]
    if taken and not (folder / PARTS).exists():  # beside parts they are an interrupted prediction's, as the parts are
        raise Fault(f"{folder}: holds {', '.join(taken)} already. Name another folder, or move it away.")


def _results(folder: Path) -> list[Path]:
    return [folder / name for name in RESULTS if (folder / name).exists()]


def _busy(folder: Path) -> None:
    raise Fault(f"{folder}: another prediction is writing there. Name another folder, or wait until it is done.")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What the system says against writing there, as a Fault."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise Fault(f"{short(str(folder))}: answers cannot be written there ({why}). Name another --output.") from None


def _new_folder(place: Path, name: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    while True:
        folder = place / next(names)
        with suppress(FileExistsError):  # another prediction of this second
            folder.mkdir()
            return folder


@task(cache_policy=NO_CACHE, task_run_name="predict {at}")
def predict_shard(
    version: Version, pictures: list[Path], threshold: float | None, folder: Path, at: int, draw: bool
) -> Shard:
    """Answer for some pictures; one that cannot be read is reported and the rest goes on.

    threshold: least score of what is answered; None: a detector's own, and every concept of a classifier.
    Raises Fault where an embedder's answers are to be drawn.
    """
    ready = predictor(version)
    least = KINDS[ready.card.type].least(ready.card, threshold)
    if draw and KINDS[ready.card.type].answer is Embeddings:
        raise Fault(f"{version} answers with vectors, of which nothing can be drawn. Leave out --draw.")
    rejected: list[dict[str, str]] = []
    part = folder / PARTS / f"{at:06d}.jsonl"
    part.parent.mkdir(parents=True, exist_ok=True)
    found: Counter[str] = Counter()
    with _writing(folder), part.open("w", encoding="utf-8") as file:
        for path, image, answer in answers(version, pictures, "predicting", rejected):
            kept = at_least(answer, least)
            file.write(json.dumps(_line(version, path, image, kept, least), ensure_ascii=False) + "\n")
            found.update(COUNTED[type(kept)](kept, ready.card, threshold))
            if draw:
                _draw(path, image, kept, folder / "drawn")
    count = len(pictures) - len(rejected)
    log(f"{count} pictures answered, {len(rejected)} could not be read")
    return Shard(file=str(part), images=count, found=found, rejected=rejected)


def _regions(answer: Regions, card: Card, threshold: float | None) -> list[str]:
    """The concept of each box."""
    return [answer.concepts[label] for label in answer.labels]


def _concepts(answer: Concepts, card: Card, threshold: float | None) -> list[str]:
    """The best concept, or each that is sure enough."""
    least = threshold if threshold is not None else 0.0 if card.exclusive else card.threshold
    sure = [row["concept"] for row in answer.rows() if row["score"] >= least]
    return sure[:1] if card.exclusive else sure


# What is found in a picture, by its name among the card's concepts.
COUNTED: dict[type[Answer], Callable[[Any, Card, float | None], list[str]]] = {
    Regions: _regions,
    Concepts: _concepts,
    Embeddings: lambda answer, card, threshold: [],
    Clusters: lambda answer, card, threshold: [card.concepts[answer.cluster]],
}


def _line(version: Version, path: Path, image: Image.Image, answer: Answer, least: float) -> dict[str, Any]:
    return {
        "image": str(path),
        "width": image.width,
        "height": image.height,
        "model": str(version),
        "dataset_version": version.dataset_version,
        **answer.line(least),
    }


def _draw(path: Path, image: Image.Image, answer: Any, folder: Path) -> None:
    from tasks.drawing import draw

    parts = [part for part in path.parts if part not in ("/", "..", ".")]
    target = folder / Path(*parts[-3:]).with_suffix(".jpg")
    while target.exists():
        target = target.with_stem(target.stem + "_")
    target.parent.mkdir(parents=True, exist_ok=True)
    draw(image, answer).save(target, quality=90)


@task(cache_policy=NO_CACHE, task_run_name="gather")
def gather(version: Version, shards: list[Shard], rejected: list[dict[str, str]], folder: Path) -> dict[str, Any]:
    """Join the parts: `predictions.jsonl`, the same flat as `predictions.parquet`, and `rejected.csv`."""
    rows = rejected + [row for shard in shards for row in shard.rejected]
    with _writing(folder):
        _join(shards, rows, folder, KINDS[version.type or predictor(version).card.type].answer)
    images = sum(shard.images for shard in shards)
    found = sum((Counter(shard.found) for shard in shards), Counter())
    told = f"{version} answered for **{images}** pictures, {len(rows)} could not be read: `{folder}`"
    show(told, "predictions", str(version), sorted((folder / "drawn").rglob("*.jpg"))[:PICTURED])
    return {
        "model": str(version),
        "dataset_version": version.dataset_version,
        "images": images,
        "found": {concept: found[concept] for concept in _countable(predictor(version).card)},
        "rejected": rows,
        "output": str(folder),
    }


def _countable(card: Card) -> tuple[str, ...]:
    """What can be found: of an embedder nothing, whose answer is the same for every picture."""
    return () if KINDS[card.type].answer is Embeddings else card.concepts


def _join(shards: list[Shard], rejected: list[dict[str, str]], folder: Path, answer: type[Answer]) -> None:
    whole = folder / ".predictions.jsonl"  # takes its name when all is there: a folder with that name is refused
    with whole.open("w", encoding="utf-8") as file:
        for shard in shards:
            with Path(shard.file).open(encoding="utf-8") as part:
                file.writelines(part)
    _parquet(whole, folder / "predictions.parquet", answer)
    if rejected:
        with (folder / "rejected.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["path", "reason"])
            writer.writeheader()
            writer.writerows(rejected)
    whole.replace(folder / "predictions.jsonl")
    shutil.rmtree(folder / PARTS)  # last: until here it says that the rest is this prediction's


def _parquet(lines: Path, target: Path, answer: type[Answer]) -> None:
    """A row a region or concept, or a picture, batch by batch: memory does not grow with the number of pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "string": pa.string(),
        "long": pa.int64(),
        "double": pa.float64(),
        "array of float": pa.list_(pa.float32()),
    }
    columns = dict.fromkeys(SHARED, "string") | answer.columns
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with lines.open(encoding="utf-8") as file, pq.ParquetWriter(target, schema) as writer:
        rows: list[dict[str, Any]] = []
        for line in file:
            rows += _flat(json.loads(line), answer)
            if len(rows) > ROWS[answer]:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))


SHARED = ("image", "model", "dataset_version")
ROWS = {Concepts: 50_000, Regions: 50_000, Clusters: 50_000, Embeddings: 1000}  # held at once; a vector is a long one


def _flat(line: dict[str, Any], answer: type[Answer]) -> list[dict[str, Any]]:
    """The rows of a picture: its regions or concepts, or the line itself."""
    shared = {name: line[name] for name in SHARED}
    rows = []
    for row in line.get(answer.name, [line]):
        box = dict(zip(("x0", "y0", "x1", "y1"), row.get("box", ()), strict=False))
        rows.append(shared | {name: row[name] for name in answer.columns if name in row} | box)
    return rows
