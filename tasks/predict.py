"""The verb predict: pictures in, JSON Lines and Parquet out, a shard at a time."""

from __future__ import annotations

import csv
import glob
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from models.runtime.images import SUFFIXES
from models.runtime.predictions import Concepts, Regions
from tasks.answers import answers, at_least, predictor
from tasks.data.formats.names import readable
from tasks.page import log, show
from tasks.registry import Version
from tasks.workspace import root

SHARD = 512  # pictures a Prefect task: a row in the UI for each, and no more than that is done twice
PARTS = ".sightline-parts"  # a name that nobody else has: what lies in it is taken away
PICTURED = 4  # drawn pictures on the run's page


class Shard(BaseModel):
    """A part of a prediction: its file of JSON Lines and what could not be read."""

    model_config = ConfigDict(frozen=True)

    file: str
    images: int
    rejected: list[dict[str, str]] = []


def find(given: Sequence[str]) -> tuple[list[Path], list[dict[str, str]]]:
    """As `expand`. Raises Fault when there is not one picture."""
    pictures, rejected = expand(given)
    if not pictures:
        said = "; ".join(f"{row['path']}: {row['reason']}" for row in rejected)
        raise Fault(f"there is no picture to predict on. {said}")
    return pictures, rejected


def shards(pictures: list[Path]) -> Iterator[tuple[int, list[Path]]]:
    """(position of the first, pictures), SHARD at a time."""
    for at in range(0, len(pictures), SHARD):
        yield at, pictures[at : at + SHARD]


def output_folder(version: Version, given: str) -> Path:
    """The folder asked for, or a new one under `predictions/`. Raises Fault when it holds predictions already."""
    if not given:
        return _new_folder(root() / "predictions", f"{version.name}-{version.number}-{datetime.now():%Y%m%d-%H%M%S}")
    folder = Path(given)
    if (folder / "predictions.jsonl").exists():
        raise Fault(f"{folder}: holds predictions already. Name another folder, or remove it.")
    if (folder / PARTS).exists():  # an interrupted prediction's
        for left in (PARTS, "drawn"):
            shutil.rmtree(folder / left, ignore_errors=True)
    taken = [name for name in ("predictions.parquet", "rejected.csv", "drawn") if (folder / name).exists()]
    if taken:
        raise Fault(f"{folder}: holds {', '.join(taken)} already. Name another folder, or move it away.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _new_folder(place: Path, name: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    while True:
        folder = place / next(names)
        with suppress(FileExistsError):  # another prediction of this second
            folder.mkdir()
            return folder


def expand(given: Sequence[str]) -> tuple[list[Path], list[dict[str, str]]]:
    """The pictures that files, folders and globs mean, each once, and rows on what is none of these."""
    found: dict[Path, None] = {}
    rejected = []
    for entry in given:
        path = Path(os.path.expanduser(entry))  # noqa: PTH111 - of Path it raises where there is no such user
        if not entry:
            rejected.append({"path": "''", "reason": "an empty path"})
        elif path.is_file():
            found[path] = None
        elif path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            found |= dict.fromkeys(inside)
            if not inside:
                rejected.append({"path": entry, "reason": f"no picture in this folder ({', '.join(sorted(SUFFIXES))})"})
        else:
            matched = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())  # noqa: PTH207
            found |= dict.fromkeys(matched)
            if not matched:
                rejected.append({"path": entry, "reason": "no such file or folder, and no file matches it"})
    for path in [path for path in found if not writable(path)]:
        del found[path]
        rejected.append({"path": readable(str(path)), "reason": "its name is not UTF-8: rename it"})
    return list(found), rejected


def writable(path: Path) -> bool:
    """Whether a file's name can be written into the answers."""
    return readable(str(path)) == str(path)


@task(cache_policy=NO_CACHE, task_run_name="predict {at}")
def predict_shard(
    version: Version, pictures: list[Path], threshold: float | None, folder: Path, at: int, draw: bool
) -> Shard:
    """Answer for some pictures; one that cannot be read is reported and the rest goes on.

    threshold: least score of what is answered; None: a detector's own, and every concept of a classifier.
    """
    ready = predictor(version)
    own = ready.card.threshold if ready.card.type == "visual-detector" else 0.0
    least = own if threshold is None else threshold
    rejected: list[dict[str, str]] = []
    part = folder / PARTS / f"{at:06d}.jsonl"
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf-8") as file:
        for path, image, answer in answers(version, pictures, "predicting", rejected):
            kept = at_least(answer, least)
            file.write(json.dumps(_line(version, path, image, kept, least), ensure_ascii=False) + "\n")
            if draw:
                _draw(path, image, kept, folder / "drawn")
    count = len(pictures) - len(rejected)
    log(f"{count} pictures answered, {len(rejected)} could not be read")
    return Shard(file=str(part), images=count, rejected=rejected)


def _line(version: Version, path: Path, image: Image.Image, answer: Concepts | Regions, least: float) -> dict[str, Any]:
    return {
        "image": str(path),
        "width": image.width,
        "height": image.height,
        "model": str(version),
        "dataset_version": version.dataset_version,
        **_found(answer, least),
    }


def _found(answer: Concepts | Regions, least: float) -> dict[str, Any]:
    if isinstance(answer, Regions):
        return {"regions": answer.rows()}
    return {"concepts": [row for row in answer.rows() if row["score"] >= least]}


def _draw(path: Path, image: Image.Image, answer: Concepts | Regions, folder: Path) -> None:
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
    whole = folder / ".predictions.jsonl"  # takes its name when all is there: a folder with that name is refused
    with whole.open("w", encoding="utf-8") as file:
        for shard in shards:
            with Path(shard.file).open(encoding="utf-8") as part:
                file.writelines(part)
    _parquet(whole, folder / "predictions.parquet")
    rows = rejected + [row for shard in shards for row in shard.rejected]
    if rows:
        with (folder / "rejected.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["path", "reason"])
            writer.writeheader()
            writer.writerows(rows)
    shutil.rmtree(folder / PARTS)  # with what an interrupted prediction may have left in it
    whole.replace(folder / "predictions.jsonl")
    images = sum(shard.images for shard in shards)
    told = f"{version} answered for **{images}** pictures, {len(rows)} could not be read: `{folder}`"
    show(told, "predictions", str(version), sorted((folder / "drawn").rglob("*.jpg"))[:PICTURED])
    return {
        "model": str(version),
        "dataset_version": version.dataset_version,
        "images": images,
        "rejected": rows,
        "output": str(folder),
    }


def _parquet(lines: Path, target: Path) -> None:
    """A row a region or concept, batch by batch: memory does not grow with the number of pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [(name, pa.string()) for name in ("image", "model", "dataset_version", "concept")]
    numbers = [(name, pa.float64()) for name in ("score", "x0", "y0", "x1", "y1")]
    schema = pa.schema(texts + numbers)
    with lines.open(encoding="utf-8") as file, pq.ParquetWriter(target, schema) as writer:
        rows: list[dict[str, Any]] = []
        for line in file:
            rows += _flat(json.loads(line))
            if len(rows) > 50_000:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))


def _flat(line: dict[str, Any]) -> list[dict[str, Any]]:
    shared = {name: line[name] for name in ("image", "model", "dataset_version")}
    rows = []
    for row in line.get("regions", line.get("concepts", [])):
        box = dict(zip(("x0", "y0", "x1", "y1"), row.get("box", ()), strict=False))
        rows.append(shared | {"concept": row["concept"], "score": row["score"]} | box)
    return rows
