"""Which image is in train, val or test: decided once for each content, and then for ever."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.runtime.faults import Fault, short
from tasks.data.annotations import SPLITS

Shares = dict[str, float]
DEFAULT: Shares = {"train": 0.8, "val": 0.1, "test": 0.1}
HELD_OUT_FIRST = ("test", "val", "train")


@dataclass(frozen=True, slots=True)
class Item:
    """What of an image decides its split: its content, the split its source gives it, its concepts (of boxes too)."""

    sha256: str
    said: str | None
    concepts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assigned:
    """splits: sha256 → split, one for each content.  notes: sentences for the report."""

    splits: dict[str, str]
    notes: tuple[str, ...]


def shares(given: str) -> Shares:
    """`80/10/10`, `0.8,0.1,0.1` or `80%,10%,10%` as fractions of train, val and test; '' gives 80/10/10.

    Raises Fault when there are not three, when they do not sum up to one, or nothing is left to train on.
    """
    if not given.strip():
        return dict(DEFAULT)
    try:
        numbers = [float(part) for part in re.split(r"[/,:\s]+", given.replace("%", "").strip())]
    except ValueError:
        numbers = []
    total = sum(numbers)
    whole = next((unit for unit in (1, 100) if abs(total - unit) <= 1e-6 * unit), None)
    if len(numbers) != 3 or min(numbers) < 0 or whole is None or numbers[0] == 0:
        raise Fault(
            f"split {short(given)!r}: give the shares of train, val and test, of which the first is not 0 and "
            "which together make 100 or 1, such as 80/10/10 or 0.7,0.15,0.15"
        )
    return {split: number / whole for split, number in zip(SPLITS, numbers, strict=True)}


def assign(items: Sequence[Item], previous: Mapping[str, str], wanted: Shares) -> Assigned:
    """A split for each content among the items.

    previous: sha256 → split of every content this dataset has ever held: such an image stays where it was.
    The rest goes where its source says; of copies in several of the source's splits the held-out one wins.
    Where a source names no split, or not all that are `wanted` although it names train, its images (its train
    images) fill what each split lacks, concept by concept, in the order of their sha256: no random numbers,
    so the same images give the same splits anywhere.
    """
    contents: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.sha256):
        contents[item.sha256].append(item)
    said, notes = _said(contents)
    free, quota = _free(said, wanted, notes)
    splits = {sha: previous.get(sha) or said[sha] or "" for sha in contents}
    open_ = [sha for sha in contents if sha not in previous and sha in free]
    splits.update(dict.fromkeys(open_, ""))
    moved = sum(sha in previous and said[sha] not in (None, previous[sha]) and sha not in free for sha in contents)
    if moved:
        notes.append(f"{moved} images keep the split they had first, although the source now says another")
    _fill(splits, _strata(contents, free), quota)
    _none_empty(splits, open_, quota)
    return Assigned(splits, tuple(notes))


def _said(contents: Mapping[str, list[Item]]) -> tuple[dict[str, str | None], list[str]]:
    """The split that the source gives each content; the held-out one where copies are in several."""
    said: dict[str, str | None] = {}
    leaks: Counter[str] = Counter()
    for sha, copies in contents.items():
        named = {item.said for item in copies if item.said}
        said[sha] = next((split for split in HELD_OUT_FIRST if split in named), None)
        if len(named) > 1:
            leaks[" and ".join(split for split in SPLITS if split in named)] += 1
    notes = [
        f"{count} pictures are in the source's {where}, byte for byte: they count as {where.split()[-1]} alone"
        for where, count in sorted(leaks.items())
    ]
    return said, notes


def _free(said: Mapping[str, str | None], wanted: Shares, notes: list[str]) -> tuple[set[str], Shares]:
    """Which contents may be placed, and the shares that they, with what is placed, are to fill.

    All of them where the source says nothing (train alone says nothing either). Those it does not mention.
    Its train images where it has train and val or test but not both: the missing one is taken out of train.
    """
    named = {split for split in said.values() if split}
    silent = {sha for sha, split in said.items() if split is None}
    if not named or named == {"train"}:
        return set(said), wanted
    lacking = [split for split in ("val", "test") if wanted[split] and split not in named]
    if silent or "train" not in named or not lacking:
        return silent, wanted
    notes.append(
        f"the source has no {' and no '.join(lacking)} split: "
        f"{' and '.join(f'{wanted[split]:.0%}' for split in lacking)} of its train images became that"
    )
    quota = {split: wanted[split] for split in lacking}
    return {sha for sha, split in said.items() if split == "train"}, {"train": 1 - sum(quota.values()), **quota}


def _strata(contents: Mapping[str, list[Item]], free: set[str]) -> list[list[str]]:
    """The free contents, grouped by their rarest concept (the most common tells least), by its name."""
    concepts = {sha: sorted({name for item in contents[sha] for name in item.concepts}) for sha in sorted(free)}
    counts = Counter(name for names in concepts.values() for name in names)
    strata: dict[str, list[str]] = defaultdict(list)
    for sha, names in concepts.items():
        strata[min(names, key=lambda name: (counts[name], name), default="")].append(sha)
    return [strata[name] for name in sorted(strata)]


def _fill(splits: dict[str, str], strata: Sequence[Sequence[str]], quota: Shares) -> None:
    """Place what has no split yet where most is lacking, in its stratum and in all strata up to it.

    Counting both keeps each concept near its shares, and the whole near them when concepts are so rare
    that each alone would round to train.
    """
    placed: Counter[str] = Counter()
    seen = 0
    for stratum in strata:
        here = Counter(splits[sha] for sha in stratum if splits[sha])
        placed.update(here)
        seen += len(stratum)
        for sha in stratum:
            if splits[sha]:
                continue
            lack = {s: quota[s] * (len(stratum) + seen) - here[s] - placed[s] for s in quota}
            splits[sha] = max(quota, key=lambda split: (round(lack[split], 9), -SPLITS.index(split)))
            here[splits[sha]] += 1
            placed[splits[sha]] += 1


def _none_empty(splits: dict[str, str], movable: Sequence[str], quota: Shares) -> None:
    """A small dataset still gets a test and a val image, as long as one is left to train on."""
    for split in ("test", "val"):
        train = [sha for sha in movable if splits[sha] == "train"]
        if quota.get(split) and split not in splits.values() and len(train) > 1:
            splits[train[-1]] = split
