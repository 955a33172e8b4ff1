"""What operators answer beside the answers that models have too: counts, colours, a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..predictions import Array, check


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How many of each concept there are.

    counts: (C,) int64, 0 or more, one per name in `concepts`.
    """

    name: ClassVar[str] = "count"
    columns: ClassVar[dict[str, str]] = {"concept": "string", "count": "long"}

    counts: Array
    concepts: tuple[str, ...]

    def __post_init__(self) -> None:
        check("counts", self.counts, (len(self.concepts),), np.int64)

    def __len__(self) -> int:
        return len(self.concepts)

    @property
    def total(self) -> int:
        """Of all concepts together."""
        return int(self.counts.sum())

    def rows(self) -> list[dict[str, Any]]:
        """`{"concept", "count"}` for each concept, in order."""
        return [{"concept": name, "count": int(n)} for name, n in zip(self.concepts, self.counts, strict=True)]

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"count": total, "counts": {concept: count}}`."""
        return {"count": self.total, "counts": {row["concept"]: row["count"] for row in self.rows()}}

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The rows; counts have no score to be below."""
        return self.rows()


@dataclass(frozen=True, slots=True, eq=False)
class Colors:
    """The colours that a picture mostly has, the most frequent first.

    hexes: K of them, `#rrggbb`.  names: of the nearest W3C colour.  shares: (K,) float32 of its pixels, in [0, 1].
    """

    name: ClassVar[str] = "colors"
    columns: ClassVar[dict[str, str]] = {"hex": "string", "color": "string", "score": "double"}

    hexes: tuple[str, ...]
    names: tuple[str, ...]
    shares: Array

    def __post_init__(self) -> None:
        check("shares", self.shares, (len(self.hexes),), np.float32)
        if len(self.names) != len(self.hexes):
            raise ValueError(f"names must be {len(self.hexes)}, got {len(self.names)}")

    def __len__(self) -> int:
        return len(self.hexes)

    def rows(self) -> list[dict[str, Any]]:
        """`{"hex", "color", "score"}` for each; the score is its share of the pixels."""
        every: Sequence = list(zip(self.hexes, self.names, self.shares, strict=True))
        return [{"hex": code, "color": name, "score": float(share)} for code, name, share in every]

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """`{"colors": rows}` with a share of `least` or more."""
        return {"colors": self.table(least)}

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The rows with a share of `least` or more."""
        return [row for row in self.rows() if row["score"] >= least]


@dataclass(frozen=True, slots=True)
class Text:
    """What was read, as one string; empty where nothing was."""

    name: ClassVar[str] = "text"
    columns: ClassVar[dict[str, str]] = {"text": "string"}

    text: str

    def __len__(self) -> int:
        return len(self.text)

    def rows(self) -> list[dict[str, Any]]:
        """One row: `{"text"}`."""
        return [{"text": self.text}]

    def line(self, least: float = 0.0) -> dict[str, Any]:
        """The row."""
        return self.rows()[0]

    def table(self, least: float = 0.0) -> list[dict[str, Any]]:
        """The row."""
        return self.rows()
