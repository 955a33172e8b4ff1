"""Operators whose answers somebody acts on: here they only decide; `sightline workflow run` writes and sends."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field, field_validator, model_validator

from ..predictions import Array, Concepts, Regions
from .operator import FOUND, Fraction, Operator, Port
from .views import Views

ACCEPTED, REVIEW = "accepted", "review"


class WriteAnnotations(Operator):
    """Make labels of what was found: sure ones accepted, unsure ones for a person to look at, the rest dropped."""

    takes: ClassVar[dict[str, Port]] = {"found": FOUND}
    gives: ClassVar[str] = "found"

    sure: Fraction = 0.8
    """From this score on a label is accepted as it is."""
    unsure: Fraction = 0.3
    """From this score on it is written for review; below it, it is dropped."""

    several: bool = False
    """Whether a picture may have several concepts, each that is sure enough a label; else its best is the only one."""

    @model_validator(mode="after")
    def _in_order(self) -> WriteAnnotations:
        if self.unsure > self.sure:
            raise ValueError(f"unsure: {self.unsure} lies above sure, {self.sure}")
        return self

    def __call__(self, found: Concepts | Regions) -> Concepts | Regions:
        if isinstance(found, Concepts):
            return Concepts(found.scores * (found.scores >= np.float32(self.unsure)), found.concepts)
        kept = found[found.scores >= np.float32(self.unsure)]
        more = {**kept.more, "verdict": self.verdicts(kept.scores)}
        return Regions(kept.boxes, kept.scores, kept.labels, kept.concepts, more)

    def labels(self, found: Concepts | Regions) -> list[dict[str, Any]]:
        """The rows of what it answered, each with its `verdict`; of concepts the best, unless there may be several."""
        rows = [row for row in found.rows() if row["score"] > 0]
        if isinstance(found, Concepts) and not self.several:
            rows = rows[:1]
        told = self.verdicts(np.array([row["score"] for row in rows], np.float32))
        return [row | {"verdict": str(verdict)} for row, verdict in zip(rows, told, strict=True)]

    def verdicts(self, scores: Array) -> Array:
        """(N,) text: `accepted` or `review` for each score of `unsure` or more."""
        return np.where(scores >= np.float32(self.sure), ACCEPTED, REVIEW)


class WriteCrops(Operator):
    """Write each crop as a file, in a folder for each concept of its region."""

    takes: ClassVar[dict[str, Port]] = {"images": Port(("images",))}
    gives: ClassVar[str] = "images"

    format: Literal["jpg", "png"] = "jpg"
    """jpg is smaller; png keeps every pixel as it is."""

    def __call__(self, images: Views) -> Views:
        return images


class Webhook(Operator):
    """Tell another program what was found: POST as JSON, when all is answered."""

    takes: ClassVar[dict[str, Port]] = {"found": Port(("concepts", "regions", "count", "text", "colors"))}
    gives: ClassVar[str] = "found"

    url: Annotated[str, Field(min_length=1)] = "https://localhost/"
    """Where to; nothing is sent unless `--allow-host` names its host."""
    rows: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Pictures in one call, at most."""
    only_found: bool = True
    """Leave out the pictures in which nothing was found."""

    @field_validator("url")
    @classmethod
    def _an_address(cls, given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address begins with http:// or https:// and names a host")
        return given

    def __call__(self, found: object) -> object:
        return found
