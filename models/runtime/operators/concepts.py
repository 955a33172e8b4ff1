"""Operators that change what concepts are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ..predictions import Array, Concepts, Regions
from .filter import relabelled
from .operator import FOUND, Names, Operator, Port


class ConceptMap(Operator):
    """Call concepts by other names; those that get the same name become one, with the highest of their scores.

    The new names come in the order of the old ones, each where the first that became it was.
    """

    takes: ClassVar[dict[str, Port]] = {"found": FOUND}
    gives: ClassVar[str] = "found"

    mapping: dict[str, str] = Field(default_factory=dict)
    """The new name of each concept. A new name is not looked up again; who has one already keeps it."""
    rest: Literal["keep", "drop"] = "keep"
    """What becomes of concepts that are neither an old nor a new name."""

    def named(self) -> Names:
        return tuple(self.mapping)

    def concepts(self, given: Mapping[str, Names]) -> Names:
        return tuple(dict.fromkeys(new for name in super().concepts(given) if (new := self._new(name)) is not None))

    def __call__(self, found: Concepts | Regions) -> Concepts | Regions:
        names = self.concepts({"found": found.concepts})
        news = [self._new(name) for name in found.concepts]
        became = np.array([-1 if new is None else names.index(new) for new in news], np.int64)

        def highest(scores: Array) -> Array:
            """(N, C) scores of the old names as (N, D) of the new ones."""
            result = np.zeros((len(scores), len(names)), np.float32)
            for old in np.flatnonzero(became >= 0):
                np.maximum(result[:, became[old]], scores[:, old], out=result[:, became[old]])
            return result

        if isinstance(found, Concepts):
            return Concepts(highest(found.scores[None])[0], names)
        return relabelled(found, became, names, highest)

    def _new(self, name: str) -> str | None:
        if name in self.mapping:
            return self.mapping[name]
        return name if self.rest == "keep" or name in self.mapping.values() else None
