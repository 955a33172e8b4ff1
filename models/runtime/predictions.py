"""What a model answers: frozen columns, checked once when made, right-shaped when empty.

Every kind of answer has a `name` (its port in a workflow), the `columns` of its table beside the picture's, with their
types in MLflow's words, `rows()` as people read them, `line(least)` for JSON and `table(least)` for a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Concepts:
    """How much one image is of each concept.

    scores: (C,) float32 in [0, 1], one per name in `concepts`; they sum to 1 only for a model whose
    concepts are mutually exclusive.
    """

    name: ClassVar[str] = "concepts"
    columns: ClassVar[dict[str, str]] = {"concept": "string", "score": "double"}

    scores: Array
    concepts: tuple[str, ...]

    def __post_init__(self) -> None:
        check("scores", self.scores, (len(self.concepts),), np.float32)
        _check_fractions("scores", self.scores)

    def __len__(self) -> int:
        return len(self.concepts)

    @property
    def best(self) -> str:
        """The concept with the highest score; the first of equals."""
        return self.concepts[int(self.scores.argmax())]

    def rows(self) -> list[dict[str, Any]]:
        """`{"concept", "score"}` for each concept, highest score first."""
        order = np.argsort(-self.scores, kind="stable")
        return [{"concept": self.concepts[i], "score": float(self.scores[i])} for i in order]

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"concepts": rows}` with a score of `least` or more."""
        return {"concepts": self.table(least)}

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The rows with a score of `least` or more."""
        return [row for row in self.rows() if row["score"] >= least]


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Boxes found or labelled in one image.

    boxes: (N, 4) float64, xyxy, pixels of the image as given.  scores: (N,) float32 in [0, 1].
    labels: (N,) int64 into `concepts`, which is always the full tuple of names, also when N is 0.
    more: further columns that operators add, each with N rows; a mask picks from all. Their names: `track_id` int64
    (-1: not sure of it yet), `parent` int64 (the row of the crop it was found in), `concept_scores` (N, C) float32
    (a classifier's whole answer on a crop), `embedding` (N, D) float32, `color` and `verdict` text.
    """

    name: ClassVar[str] = "regions"
    columns: ClassVar[dict[str, str]] = Concepts.columns | dict.fromkeys(("x0", "y0", "x1", "y1"), "double")

    boxes: Array
    scores: Array
    labels: Array
    concepts: tuple[str, ...]
    more: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        check("boxes", self.boxes, (count, 4), np.float64)
        check("scores", self.scores, (count,), np.float32)
        check("labels", self.labels, (count,), np.int64)
        _check_fractions("scores", self.scores)
        if count and (self.labels.min() < 0 or self.labels.max() >= len(self.concepts)):
            raise ValueError(f"labels must index {len(self.concepts)} concepts, got {sorted(set(self.labels))}")
        for name, column in self.more.items():
            if len(column) != count:
                raise ValueError(f"{name} must have {count} rows, got {len(column)}")

    @classmethod
    def empty(cls, concepts: tuple[str, ...]) -> Regions:
        """No region, with the shapes and dtypes of some."""
        return cls(np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, np.int64), concepts)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, which: Array | slice) -> Regions:
        """The regions a mask, an index array or a slice picks: `found[found.scores > 0.5]`."""
        more = {name: column[which] for name, column in self.more.items()}
        return Regions(self.boxes[which], self.scores[which], self.labels[which], self.concepts, more)

    def rows(self) -> list[dict[str, Any]]:
        """`{"box": [x0, y0, x1, y1], "concept", "score"}` for each region, in order, and what is in `more`."""
        rows = [
            {"box": box.tolist(), "concept": self.concepts[label], "score": float(score)}
            for box, score, label in zip(self.boxes, self.scores, self.labels, strict=True)
        ]
        for name, column in self.more.items():
            if name != "concept_scores":  # C numbers a row: what they come to is the row's concept and score
                for row, value in zip(rows, column.tolist(), strict=True):
                    row[name] = value
        return rows

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"regions": rows}` with a score of `least` or more."""
        return {"regions": self[self.scores >= least].rows()}

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The same with the box as x0, y0, x1, y1."""
        rows = self[self.scores >= least].rows()
        return [row | dict(zip(("x0", "y0", "x1", "y1"), row.pop("box"), strict=True)) for row in rows]


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Where one image lies among others: alike ones are near.

    vector: (D,) float32 of length 1, so that the product of two is their cosine similarity, -1 to 1.
    """

    name: ClassVar[str] = "embeddings"
    columns: ClassVar[dict[str, str]] = {"embedding": "array of float"}

    vector: Array

    def __post_init__(self) -> None:
        check("vector", self.vector, (len(self.vector),), np.float32)
        if not np.isfinite(self.vector).all():
            raise ValueError("a vector must be of finite numbers")

    def __len__(self) -> int:
        return len(self.vector)

    def rows(self) -> list[dict[str, Any]]:
        """One row: `{"embedding": [D numbers]}`."""
        return [{"embedding": self.vector.tolist()}]

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"embedding": [D numbers]}`; it has no score."""
        return self.rows()[0]

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The one row."""
        return self.rows()


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """To which group one image belongs.

    distances: (K,) float32, 0 to 2, K of 2 or more: from the image's embedding of length 1 to each centre.
    """

    name: ClassVar[str] = "clusters"
    columns: ClassVar[dict[str, str]] = {"cluster": "long", "score": "double", "distance": "double"}

    distances: Array

    def __post_init__(self) -> None:
        check("distances", self.distances, (len(self.distances),), np.float32)
        if len(self.distances) < 2 or not self.distances.min() >= 0:
            raise ValueError(f"distances must be two or more, from 0 on, got {self.distances}")

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def cluster(self) -> int:
        """The one with the nearest centre, from 0; the first of equals."""
        return int(self.distances.argmin())

    @property
    def score(self) -> float:
        """How clearly it belongs there: 0 between two clusters, 1 at the centre of its own.

        The simplified silhouette, (b - a) / b of the distances a and b to the nearest and the next centre
        (Hruschka 2004, after Rousseeuw 1987).
        """
        nearest, other = np.partition(self.distances.astype(np.float64), 1)[:2]
        return float((other - nearest) / other) if other > 0 else 0.0

    def rows(self) -> list[dict[str, Any]]:
        """One row: `{"cluster", "score", "distance"}`."""
        nearest = self.cluster
        return [{"cluster": nearest, "score": self.score, "distance": float(self.distances[nearest])}]

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """The one row; every picture is in some cluster, so `least` leaves out none."""
        return self.rows()[0]

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The row, if it has a score of `least` or more."""
        return [row for row in self.rows() if row["score"] >= least]


Answer = Concepts | Regions | Embeddings | Clusters
VALUES: dict[str, type[Answer]] = {value.__name__: value for value in (Concepts, Regions, Embeddings, Clusters)}
COLUMNS = {name: tuple(column.name for column in fields(value)) for name, value in VALUES.items()}


def ours(answer: Any) -> Any:
    """An answer of another copy of this code as this one's value: the class's name and its columns are the same.

    What is of this copy, or of no class that it knows, stays as it is. Columns were checked when the answer was made:
    to check them again took more than half of what a workflow added to a picture (docs/benchmarks.md).
    """
    kind = type(answer).__name__
    value = VALUES.get(kind)
    if value is None or isinstance(answer, value):
        return answer
    made = object.__new__(value)
    try:
        for name in COLUMNS[kind]:
            object.__setattr__(made, name, getattr(answer, name))
    except AttributeError:  # of a copy that did not have them all yet
        return value(**{name: getattr(answer, name) for name in COLUMNS[kind] if hasattr(answer, name)})
    return made


def check(name: str, column: Array, shape: tuple[int, ...], dtype: type) -> None:
    """Raises ValueError unless a column is of that shape and dtype."""
    if column.shape != shape or column.dtype != dtype:
        want = f"{shape} {np.dtype(dtype).name}"
        raise ValueError(f"{name} must be {want}, got {column.shape} {column.dtype.name}")


def _check_fractions(name: str, column: Array) -> None:
    if column.size and not (column.min() >= 0 and column.max() <= 1):
        raise ValueError(f"{name} must lie in [0, 1], got {column.min()} to {column.max()}")
