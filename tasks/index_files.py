"""A visual index as files: the vectors of a dataset version's pictures by one version of a model, with their rows.

`.sightline/index/<dataset>/<model>-<number>-<id>/<dataset version>/` holds `vectors.npy` ((N, D) float32, each of
length 1, read as a memory map), `rows.jsonl` (a line for each vector, in that order), `index.json` and, where a graph
was made, `graph.faiss`. The folder comes to be by one rename, so it is whole or not there.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from models.runtime.faults import Fault, short
from tasks.data.annotations import Annotation
from tasks.data.dataset import folder_of
from tasks.workspace import state

HEAD, ROWS, VECTORS, GRAPH = "index.json", "rows.jsonl", "vectors.npy", "graph.faiss"


class Head(BaseModel):
    """What an index is of.

    model: `name/number` of the version that made the vectors.  logged_model: MLflow's id of that version's files.
    folder: where the pictures lie, of a dataset that was checked out elsewhere; empty: in `data/`.
    count, dimension: N and D of the vectors.  kind: whether all are looked at, or a graph of them is walked.
    recall: share of the ten nearest that this finds, measured on its own vectors when it was made.
    sizes: bytes of each file.  created: ISO 8601 in UTC.  zeros: vectors that are 0, and so as near to all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: str
    dataset_version: str
    folder: str
    model: str
    logged_model: str
    count: int
    dimension: int
    kind: Literal["exact", "hnsw"]
    recall: float
    sizes: dict[str, int]
    created: str
    zeros: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of an index. concepts: of the picture as a whole and of its boxes, sorted."""

    image: str
    sha256: str
    split: str
    concepts: tuple[str, ...]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, entry: Annotation) -> Row:
        """What an index says of an annotation."""
        concepts = tuple(sorted({*entry.concepts, *entry.box_concepts}))
        return cls(entry.image, entry.sha256, entry.split, concepts, entry.metadata)


@dataclass(frozen=True, eq=False)
class VisualIndex:
    """An index that lies on disk. Its files are read when they are first asked for."""

    head: Head
    folder: Path

    @cached_property
    def vectors(self) -> np.ndarray:
        """(N, D) float32 of length 1, mapped from the disk. Raises Fault where the file holds something else."""
        path = self.folder / VECTORS
        try:
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise damaged(path, str(error)) from None
        shape = (self.head.count, self.head.dimension)
        if not isinstance(vectors, np.ndarray) or vectors.shape != shape or vectors.dtype != np.float32:
            raise damaged(path, f"it should hold {shape[0]} × {shape[1]} float32")
        return np.asarray(vectors)

    @cached_property
    def _lines(self) -> list[bytes]:
        path = self.folder / ROWS
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise damaged(path, error.strerror or "") from None
        if len(lines) != self.head.count:
            raise damaged(path, f"it has {len(lines)} lines, and {self.head.count} vectors lie beside it")
        return lines

    def row(self, number: int) -> Row:
        """The picture of that vector. Raises Fault where its line is none."""
        try:
            row = Row(**json.loads(self._lines[number]))
            return Row(row.image, row.sha256, row.split, tuple(row.concepts), dict(row.metadata))
        except (ValueError, TypeError) as error:
            raise damaged(self.folder / ROWS, f"line {number + 1}: {short(str(error))}") from None

    def rows(self) -> Iterator[Row]:
        """Every picture, in the order of the vectors."""
        return map(self.row, range(self.head.count))

    @property
    def graph(self) -> Path | None:
        """The file of its graph, where it has one."""
        return self.folder / GRAPH if self.head.kind == "hnsw" else None

    @property
    def pictures(self) -> Path:
        """The folder below which the pictures lie (they may have gone since)."""
        elsewhere = Path(self.head.folder)
        there = self.head.folder and elsewhere.is_dir()
        return (elsewhere if there else folder_of(self.head.dataset)) / "images"

    def __str__(self) -> str:
        return f"{self.head.dataset} at {self.head.dataset_version[:8]} by {self.head.model}"


def damaged(path: Path, why: str) -> Fault:
    """What to say of a file of an index that is not what was written."""
    folder = path.parent
    return Fault(
        f"{path}: is no file of an index any more ({why}). Remove {folder} and build it again; "
        "pictures that were embedded before are not embedded again."
    )


BLOCK = 16_384  # vectors that are looked at at once


def open_index(folder: Path) -> VisualIndex:
    """The index in a folder, its files as long as they were written. Raises Fault that names the one that is not."""
    path = folder / HEAD
    try:
        head = Head.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise damaged(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")) from None
    except OSError as error:
        raise damaged(path, error.strerror or "") from None
    wanted = {ROWS, VECTORS} | ({GRAPH} if head.kind == "hnsw" else set())
    if head.sizes.keys() != wanted or head.count < 1 or head.dimension < 1:
        raise damaged(path, f"it names {', '.join(head.sizes) or 'no files'}")
    for name, size in head.sizes.items():
        file = folder / name
        there = file.stat().st_size if file.is_file() else 0
        if there != size:
            raise damaged(file, f"it has {there} bytes, {size} were written")
    index = VisualIndex(head, folder)
    zeros = 0
    for start in range(0, head.count, BLOCK):
        lengths = np.linalg.norm(index.vectors[start : start + BLOCK], axis=1)
        zeros += int(np.count_nonzero(lengths == 0))
        if not ((np.abs(lengths - 1) < 0.01) | (lengths == 0)).all():  # also not a number
            raise damaged(folder / VECTORS, "a vector in it is not of length 1")
    if zeros != head.zeros:
        raise damaged(folder / VECTORS, f"{zeros} vectors in it are 0, {head.zeros} were")
    return index


def home() -> Path:
    """Where all indexes lie."""
    return state() / "index"


def write_rows(path: Path, entries: Sequence[Annotation]) -> None:
    """The rows of an index, a line each."""
    with path.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(asdict(Row.of(entry)), separators=(",", ":")) + "\n")


def write_head(into: Path, /, **columns: Any) -> None:
    """What the index is of, and how long the files are that lie in its folder by now."""
    sizes = {path.name: path.stat().st_size for path in into.iterdir()}
    (into / HEAD).write_text(Head(**columns, sizes=sizes).model_dump_json(indent=1), encoding="utf-8")


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A new folder beside that one, which takes its place when all went well: what a kill leaves is the old or the new.

    Everything in it is on the disk before it is renamed. What lay there before is taken away.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*.new"):  # of a build that was killed; builds run one at a time
        shutil.rmtree(left, ignore_errors=True)
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new")
    beside.mkdir()
    try:
        yield beside
        for path in beside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            folder.replace(away := beside.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new"))
            beside.replace(folder)
            shutil.rmtree(away, ignore_errors=True)
        else:
            beside.replace(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
