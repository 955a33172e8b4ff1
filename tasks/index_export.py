"""An index's vectors as a file for other programs: Parquet, NumPy's .npz or CSV, by the file's ending."""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from models.runtime.faults import Fault, choices, short
from tasks.index_files import VisualIndex

ROWS = 8192  # written at a time
COLUMNS = ("image", "split", "concepts", "sha256")


def export(index: VisualIndex, path: Path) -> Path:
    """Write image, split, concepts, sha256 and embedding of every picture, whole or not at all; returns the path.

    Parquet: `concepts` a list of texts, `embedding` a list of D float32.  npz: `embedding` (N, D) float32, the others
    arrays of text, concepts as JSON.  CSV: concepts as JSON, the vector in the columns e0 … e(D-1).
    What stood there is replaced. Raises Fault for another ending, and where nothing can be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise Fault(f"{short(str(path), 200)}: vectors are not written as that. {choices(path.suffix, FORMATS)}")
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("xb") as file:
            FORMATS[path.suffix.lower()](index, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise Fault(f"{short(str(path), 200)}: cannot be written ({error.strerror or error}). Name another.") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return path.resolve()


def _parquet(index: VisualIndex, file: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    size = index.head.dimension
    kinds: list[Any] = [text, text, pa.list_(text), text, pa.list_(pa.float32(), size)]
    schema = pa.schema(
        [*zip([*COLUMNS, "embedding"], kinds, strict=True)],
        {name: str(getattr(index.head, name)) for name in ("dataset", "dataset_version", "model", "logged_model")},
    )
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, index.head.count, ROWS):
            vectors = index.vectors[start : start + ROWS]
            rows = [index.row(start + i) for i in range(len(vectors))]
            columns = [pa.array([getattr(row, name) for row in rows], schema.field(name).type) for name in COLUMNS]
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), size)
            writer.write_table(pa.table([*columns, flat], schema=schema))


def _npz(index: VisualIndex, file: IO[bytes]) -> None:
    rows = list(index.rows())
    columns: dict[str, Any] = {
        name: np.array([getattr(row, name) for row in rows]) for name in COLUMNS if name != "concepts"
    }
    concepts = np.array([json.dumps(row.concepts, ensure_ascii=False) for row in rows])
    np.savez(file, embedding=index.vectors, concepts=concepts, **columns)


def _csv(index: VisualIndex, file: IO[bytes]) -> None:
    import io

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"e{i}" for i in range(index.head.dimension))])
    for row, vector in zip(index.rows(), index.vectors, strict=True):
        concepts = json.dumps(row.concepts, ensure_ascii=False)
        writer.writerow([row.image, row.split, concepts, row.sha256, *map(repr, vector.tolist())])
    text.detach()


FORMATS: dict[str, Callable[[VisualIndex, IO[bytes]], None]] = {".parquet": _parquet, ".npz": _npz, ".csv": _csv}
