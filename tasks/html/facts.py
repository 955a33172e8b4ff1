"""What a page says of itself: what was measured, when and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def not_held_out(seen: int, images: int) -> str:
    """What must be said of numbers of which some images were learned from; empty of held-out ones."""
    return f"{seen} of {images} images were seen in training: these are not held-out numbers." if seen else ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured, when and how, as it stands at the page's end.

    model: `name/version`.  type: the model's.  dataset_version, revision: DVC's of the data and git's of the code.
    images: how many were measured, and of them seen_in_training.  created: when, as it is to be read.
    milliseconds: from file to answer, each image.
    """

    model: str
    type: str
    template: str
    dataset: str
    dataset_version: str
    split: str
    images: int
    seen_in_training: int
    parameters: Mapping[str, Any]
    revision: str
    created: str
    milliseconds: float

    @property
    def warning(self) -> str:
        """What must be said of the numbers before all else; empty of held-out ones."""
        return not_held_out(self.seen_in_training, self.images)
