"""A dataset that is about to be: what of a source will be in it, and why the rest will not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.data.check import Checked, check_all, without_contradictions
from tasks.data.dataset import Dataset, Task, folder_of, read_annotations
from tasks.data.formats.source import Labelled, Rejected, Source
from tasks.data.split import Item, assign, shares
from tasks.data.store import record, write_text
from tasks.data.version import recorded

SPLITS_FILE = "splits.csv"


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything but the place on disk.

    images: what will be in it, sorted.  rejected, repaired: rows for people.  notes: sentences for the report.
    looked_at: images and boxes that were read; the tolerance is a share of these.
    """

    name: str
    task: Task
    exclusive: bool
    concepts: tuple[str, ...]
    images: tuple[Checked, ...]
    rejected: tuple[Rejected, ...]
    repaired: tuple[Rejected, ...]
    notes: tuple[str, ...]
    looked_at: int

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The lines of annotations.jsonl."""
        return tuple(image.annotation for image in self.images)


def draft(name: str, source: Source) -> Draft:
    """A dataset that is all of a source. Pictures whose bytes are in the dataset already are not decoded again."""
    outcome = check_all(source.images, _sizes(current(name)))
    images, torn = without_contradictions(outcome.images) if source.exclusive else (outcome.images, ())
    return Draft(
        name=name,
        task=source.task,
        exclusive=source.exclusive,
        concepts=tuple(sorted(source.concepts)),
        images=images,
        rejected=(*source.rejected, *outcome.rejected, *torn),
        repaired=outcome.repaired,
        notes=(source.note,),
        looked_at=len(source.images) + sum(len(image.boxes) for image in source.images) + len(source.rejected),
    )


def mended(dataset: Dataset, source: Source, rows: Sequence[Rejected]) -> Draft:
    """The dataset as it is, with the images that `rows` name taken from the source again where they are good now.

    All other images stay as they are. What is still not good, and only that, is rejected again.
    """
    named = {row.path for row in rows}
    present = {entry.image for entry in dataset.annotations}
    again = [image for image in source.images if image.name in named or _said_in(image, named) - present]
    outcome = check_all(again, _sizes(dataset.annotations))
    good = {image.annotation.image: image for image in outcome.images}
    stay = [Checked(dataset.path(entry), None, entry) for entry in dataset.annotations]
    if dataset.exclusive:
        others = [image for image in stay if image.annotation.image not in good]
        _, torn = without_contradictions([*others, *good.values()])
        torn = tuple(row for row in torn if good.pop(row.path, None))
    else:
        torn = ()
    kept = {image.annotation.image: image for image in stay} | good
    rejected = (*(row for row in source.rejected if row.path in named), *outcome.rejected, *torn)
    return Draft(
        name=dataset.name,
        task=dataset.task,
        exclusive=dataset.exclusive and all(len(image.annotation.concepts) == 1 for image in kept.values()),
        concepts=tuple(sorted({*dataset.concepts, *source.concepts})),
        images=tuple(kept[name] for name in sorted(kept)),
        rejected=rejected,
        repaired=outcome.repaired,
        notes=(f"{len(rows)} rows tried again: {len(good)} images taken, {len(rejected)} rows left",),
        looked_at=len(kept) + sum(len(image.annotation.boxes) for image in kept.values()) + len(rejected),
    )


def placed(draft: Draft, given: str) -> Draft:
    """The draft with a split for each image: the one it ever had, its source's, or what is lacking.

    given: the shares asked for, such as `80/10/10`, or ''. Raises Fault when they are none.
    """
    items = [
        Item(image.annotation.sha256, image.said, (*image.annotation.concepts, *image.annotation.box_concepts))
        for image in draft.images
    ]
    assigned = assign(items, first_splits(draft.name), shares(given))
    notes = draft.notes + assigned.notes
    if given and {"val", "test"} & {item.said for item in items} and all(item.said for item in items):
        notes += (f"the source divides its images itself: {given} was not used",)
    images = tuple(
        replace(image, annotation=replace(image.annotation, split=assigned.splits[image.annotation.sha256]))
        for image in draft.images
    )
    return replace(draft, images=images, notes=notes)


def within(draft: Draft, tolerance: float, rows: Path) -> None:
    """Raises Fault when more was left out than the tolerated share, or when nothing is left.

    rows: the rejected.csv, to be named.
    """
    share = len(draft.rejected) / max(draft.looked_at, 1)
    if draft.images and share <= tolerance:
        return
    reasons = Counter(row.reason.partition(":")[0] for row in draft.rejected).most_common(4)
    why = "; ".join(f"{count} × {reason}" for reason, count in reasons) or "the source holds no image"
    what = f"{len(draft.rejected)} of {draft.looked_at} images and boxes ({share:.1%}) had to be left out, "
    what += f"more than the tolerated {tolerance:.1%}" if draft.images else "and no image is left"
    raise Fault(
        f"{draft.name}: {what}. {why}. Each is in {rows}. data/{draft.name} is as it was. "
        f"Mend the source, or allow more (--tolerance {min(share * 1.1 + 0.005, 1):.0%})."
    )


def current(name: str) -> tuple[Annotation, ...]:
    """What the dataset holds now: on disk, else in the version that data.dvc names; nothing for a new one."""
    path = folder_of(name) / "annotations.jsonl"
    if path.exists():
        return read_annotations(path)
    content = recorded(name, "annotations.jsonl")
    return tuple(map(Annotation.parse, content.decode().splitlines())) if content else ()


def first_splits(name: str) -> dict[str, str]:
    """sha256 → split of every image that the dataset holds or has held here."""
    return {entry.sha256: entry.split for entry in current(name)} | _remembered(name)


def remember_splits(name: str, annotations: Iterable[Annotation]) -> None:
    """Keep the first split of each image beyond its removal: it may come back."""
    splits = {entry.sha256: entry.split for entry in annotations} | _remembered(name)
    write_text(record(name) / SPLITS_FILE, "".join(f"{sha},{split}\n" for sha, split in sorted(splits.items())))


def _remembered(name: str) -> dict[str, str]:
    path = record(name) / SPLITS_FILE
    rows = path.read_text().splitlines() if path.exists() else []
    return {sha: split for sha, _, split in (row.partition(",") for row in rows)}


def _sizes(entries: Iterable[Annotation]) -> dict[str, tuple[int, int]]:
    return {entry.sha256: (entry.width, entry.height) for entry in entries}


def _said_in(image: Labelled, files: set[str]) -> set[str]:
    """The image's name, if one of these annotation files is where its source speaks of it."""
    places = {image.where, image.where.rpartition(":")[0], image.where.rpartition("#")[0]}
    return {image.name} if places & files else set()
