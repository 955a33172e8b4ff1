"""A dataset that is about to be: what of a source will be in it, and why the rest will not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.runtime.faults import Fault, listed, short
from tasks.data.annotations import SPLITS, Annotation
from tasks.data.check import Checked, check_all, without_contradictions
from tasks.data.dataset import Dataset, Task, folder_of, parse_annotations, read_annotations
from tasks.data.formats.source import Rejected, Source
from tasks.data.split import Item, assign, shares
from tasks.data.store import record
from tasks.data.version import recorded
from tasks.files import write

FILE = "annotations.jsonl"
SPLITS_FILE = "splits.csv"


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything but the place on disk.

    images: what will be in it, sorted.  rejected, repaired: rows for people.  notes: sentences for the report.
    """

    name: str
    task: Task
    exclusive: bool
    concepts: tuple[str, ...]
    images: tuple[Checked, ...]
    rejected: tuple[Rejected, ...]
    repaired: tuple[Rejected, ...]
    notes: tuple[str, ...]

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
    )


def mended(
    dataset: Dataset,
    source: Source,
    rows: Sequence[Rejected],
    before: Sequence[Rejected] = (),
    repaired: Sequence[Rejected] = (),
) -> Draft:
    """The dataset as it is, with the images that `rows` name taken from the source again where they are good now.

    All other images stay as they are. Rejected is what is still not good, and of what the ingest before left out
    (`before`) whatever was not looked at again; so it is with what was mended (`repaired`).
    Raises Fault when the source is one for another task.
    """
    if source.task != dataset.task:
        raise Fault(
            f"{dataset.name}: is a dataset for {dataset.task}, and the source was read as {source.format}, which is "
            f"for {source.task}. Give the source and the --format that the dataset was made from."
        )
    named = {row.path for row in rows}
    present = {entry.image for entry in dataset.annotations}
    again = [i for i in source.images if i.name in named or (i.name not in present and _places(i.where) & named)]
    outcome = check_all(again, _sizes(dataset.annotations))
    stay = {entry.image: Checked(dataset.path(entry), None, entry) for entry in dataset.annotations}
    taken = {image.annotation.image: image for image in outcome.images}
    torn = _torn(taken, stay) if dataset.exclusive else {}
    good = {name: image for name, image in taken.items() if name not in torn}
    kept = stay | good
    asked = named | {image.name for image in again}
    still = [row for row in source.rejected if row.path in asked or _places(row.row) & named]
    rejected = (*still, *outcome.rejected, *torn.values(), *_unasked(before, asked, kept, still))
    return Draft(
        name=dataset.name,
        task=dataset.task,
        exclusive=dataset.exclusive and all(len(image.annotation.concepts) == 1 for image in kept.values()),
        concepts=tuple(sorted({*dataset.concepts, *source.concepts})),
        images=tuple(kept[name] for name in sorted(kept)),
        rejected=rejected,
        repaired=_mended(repaired, stay, good),
        notes=(f"{len(rows)} rows tried again: {len(good)} images taken, {len(rejected)} rows left",),
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


def fresh(draft: Draft, before: Sequence[Rejected]) -> Draft:
    """The draft with no row but those of what was not left out before.

    A retry answers for these alone: what is out already was tolerated, and to mend some of it makes nothing worse.
    An image of which a box or an annotation was out may be out as a whole now: a retry leaves it as it was.
    """
    out = {(row.path, row.row) for row in before} | {(row.path, "") for row in before}
    return replace(draft, rejected=tuple(row for row in draft.rejected if (row.path, row.row) not in out))


def within(draft: Draft, tolerance: float, file: Path | None = None) -> None:
    """Raises Fault when more images, or more boxes, were left out than the tolerated share, or when nothing is left.

    Two shares: an image is one among images, however many boxes it has. What is said of no one box (a row, an
    annotation file) counts as an image.  file: the rejected.csv to be named; without it the first few are.
    """
    boxes = sum(row.what == "box" for row in draft.rejected)
    kept = sum(len(image.annotation.boxes) for image in draft.images)
    counts = {"images": (len(draft.rejected) - boxes, len(draft.images)), "boxes": (boxes, kept)}
    share = {what: out / max(out + stays, 1) for what, (out, stays) in counts.items()}
    over = [what for what in counts if share[what] > tolerance]
    if draft.images and not over:
        return
    reasons = Counter(row.reason.partition(":")[0] for row in draft.rejected).most_common(4)
    why = "; ".join(f"{count} × {reason}" for reason, count in reasons) or "the source holds no image"
    told = (f"{counts[what][0]} of {sum(counts[what])} {what} ({share[what]:.1%})" for what in over or ["images"])
    what = f"{' and '.join(told)} had to be left out, "
    what += f"more than the tolerated {tolerance:.1%}" if draft.images else "and no image is left"
    where = f"Each is in {file}" if file else f"Which: {listed([row.row or row.path for row in draft.rejected], 3)}"
    raise Fault(
        f"{draft.name}: {what}. {why}. {where}. data/{draft.name} is as it was. "
        f"Mend the source, or allow more (--tolerance {min(max(share.values()) * 1.1 + 0.005, 1):.0%})."
    )


def current(name: str) -> tuple[Annotation, ...]:
    """What the dataset holds now: on disk, else in the version that data.dvc names; nothing for a new one.

    Raises Fault when what is on disk is broken, and the version is nowhere.
    """
    path = folder_of(name) / FILE
    if not path.exists():
        return _recorded(name) or ()
    try:
        return read_annotations(path)
    except Fault:
        found = _recorded(name)
        if found is None:
            raise
        return found


def first_splits(name: str) -> dict[str, str]:
    """sha256 → split of every image that the dataset holds, or was ever seen to hold here.

    The version that data.dvc names may be newer than the folder (after a `git pull`) and has the last word; what
    only this machine remembers has the first.
    """
    return _remembered(name) | _splits(current(name)) | _splits(_recorded(name) or ())


def remember_splits(name: str, annotations: Iterable[Annotation]) -> None:
    """Keep the first split of each image beyond its removal: it may come back."""
    splits = _remembered(name) | _splits(annotations)
    write(record(name) / SPLITS_FILE, "".join(f"{sha},{split}\n" for sha, split in sorted(splits.items())))


def _recorded(name: str) -> tuple[Annotation, ...] | None:
    """What the version that data.dvc names holds; None when there is none, and when it is nowhere or broken."""
    content = recorded(name, FILE)
    try:
        return None if content is None else parse_annotations(content.decode(), Path(FILE))
    except (Fault, UnicodeDecodeError):
        return None


def _splits(entries: Iterable[Annotation]) -> dict[str, str]:
    return {entry.sha256: entry.split for entry in entries}


def _remembered(name: str) -> dict[str, str]:
    path = record(name) / SPLITS_FILE
    rows = path.read_text(errors="replace").splitlines() if path.exists() else []
    splits = {sha: split for sha, _, split in (row.partition(",") for row in rows)}
    odd = next((sha for sha, split in splits.items() if split not in SPLITS), None)
    if odd is not None:
        raise Fault(f"{path}: {short(odd)!r} has no split ({', '.join(SPLITS)}). Mend or remove that line")
    return splits


def _sizes(entries: Iterable[Annotation]) -> dict[str, tuple[int, int]]:
    return {entry.sha256: (entry.width, entry.height) for entry in entries}


def _places(where: str) -> set[str]:
    """The annotation file that a place is in, and the place itself."""
    return {where, where.rpartition(":")[0], where.rpartition("#")[0]}


def _unasked(
    before: Sequence[Rejected], asked: set[str], kept: Collection[str], told: Sequence[Rejected]
) -> list[Rejected]:
    """Rows of the ingest before that hold on: of nothing asked for, nor told again, nor of an image that is in."""
    again = {(row.path, row.row) for row in told}
    return [
        row
        for row in before
        if row.path not in asked and (row.path, row.row) not in again and (row.what != "image" or row.path not in kept)
    ]


def _torn(again: Mapping[str, Checked], stay: Mapping[str, Checked]) -> dict[str, Rejected]:
    """A row for each image taken again that contradicts another one, or one that stays; by name."""
    _, rows = without_contradictions(list({**stay, **again}.values()))
    return {row.path: row for row in rows if row.path in again}


def _mended(
    before: Sequence[Rejected], stay: Mapping[str, Checked], good: Mapping[str, Checked]
) -> tuple[Rejected, ...]:
    """Rows of what was mended: of images that stay as they are those there were, of images taken again their own."""
    names = stay.keys() - good.keys()
    return (*(row for row in before if row.path in names), *(row for image in good.values() for row in image.repaired))
