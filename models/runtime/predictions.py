"""What a model answers: frozen columns, checked once when made, right-shaped when empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Concepts:
    """How much one image is of each concept.

    scores: (C,) float32 in [0, 1], one per name in `concepts`; they sum to 1 only for a model whose
    concepts are mutually exclusive.
    """

    scores: Array
    concepts: tuple[str, ...]

    def __post_init__(self) -> None:
        _check("scores", self.scores, (len(self.concepts),), np.float32)
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


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Boxes found or labelled in one image.

    boxes: (N, 4) float64, xyxy, pixels of the image as given.  scores: (N,) float32 in [0, 1].
    labels: (N,) int64 into `concepts`, which is always the full tuple of names, also when N is 0.
    """

    boxes: Array
    scores: Array
    labels: Array
    concepts: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check("boxes", self.boxes, (count, 4), np.float64)
        _check("scores", self.scores, (count,), np.float32)
        _check("labels", self.labels, (count,), np.int64)
        _check_fractions("scores", self.scores)
        if count and (self.labels.min() < 0 or self.labels.max() >= len(self.concepts)):
            raise ValueError(f"labels must index {len(self.concepts)} concepts, got {sorted(set(self.labels))}")

    @classmethod
    def empty(cls, concepts: tuple[str, ...]) -> Regions:
        """No region, with the shapes and dtypes of some."""
        return cls(np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, np.int64), concepts)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, which: Array | slice) -> Regions:
        """The regions a mask, an index array or a slice picks: `found[found.scores > 0.5]`."""
        return Regions(self.boxes[which], self.scores[which], self.labels[which], self.concepts)

    def rows(self) -> list[dict[str, Any]]:
        """`{"box": [x0, y0, x1, y1], "concept", "score"}` for each region, in order."""
        return [
            {"box": box.tolist(), "concept": self.concepts[label], "score": float(score)}
            for box, score, label in zip(self.boxes, self.scores, self.labels, strict=True)
        ]


def _check(name: str, column: Array, shape: tuple[int, ...], dtype: type) -> None:
    if column.shape != shape or column.dtype != dtype:
        want = f"{shape} {np.dtype(dtype).name}"
        raise ValueError(f"{name} must be {want}, got {column.shape} {column.dtype.name}")


def _check_fractions(name: str, column: Array) -> None:
    if column.size and not (column.min() >= 0 and column.max() <= 1):
        raise ValueError(f"{name} must lie in [0, 1], got {column.min()} to {column.max()}")
