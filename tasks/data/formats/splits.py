"""Which split a picture is in, when a source says so once, twice or in contradiction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from tasks.data.annotations import SPLITS
from tasks.data.split import HELD_OUT_FIRST


def settle(said: Mapping[str, Collection[str]], named: Collection[str]) -> tuple[dict[str, str], str]:
    """One split a picture, and a remark for the source's note (or nothing).

    said: by picture, the splits that the source puts it in.
    named: the splits that the source has files or folders for, also empty ones.
    One split alone (a lone `val/`) divides nothing, nor do two that hold the same pictures: then the pictures have
    none, and are divided anew. A picture in several stays in the one held out furthest, and leaves the other:
    so no number is measured on what was trained on.
    """
    held = {split: {name for name, splits in said.items() if split in splits} for split in named}
    order = [split for split in SPLITS if split in named]
    copies: dict[str, str] = {}
    for i, later in enumerate(order):
        for first in order[:i]:
            if held[later] and held[later] == held[first]:
                copies.setdefault(later, first)
    order = [split for split in order if split not in copies]
    notes = [f"{later} holds the same pictures as {first} and is not used" for later, first in copies.items()]
    if len(order) < 2:
        notes += [f"{split} is the only split, so the pictures are divided anew" for split in order]
        return {}, "; ".join(notes)
    splits: dict[str, str] = {}
    several: Counter[str] = Counter()
    for name, given in said.items():
        chosen = [split for split in HELD_OUT_FIRST if split in given and split in order]
        if chosen:
            splits[name] = chosen[0]
        if len(chosen) > 1:
            several[f"{' and '.join(reversed(chosen))}: they count as {chosen[0]} alone"] += 1
    notes += [f"{count} pictures are in {where}" for where, count in sorted(several.items())]
    return splits, "; ".join(notes)
