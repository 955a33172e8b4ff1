"""What makes a source look like a format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """One format's ground for being the format of a source.

    seen: what it found, for the user.  pictures: those that its annotations speak of, below the source.
    concepts: of these pictures, where the format tells them at a glance and folders could tell the same.
    """

    seen: str
    pictures: frozenset[str]
    concepts: frozenset[str] = frozenset()
