"""What an ingest did: the answer for scripts, the sentence for people, the report for the Prefect UI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.data.annotations import SPLITS
from tasks.data.commit import Versions
from tasks.data.draft import Draft
from tasks.data.formats.source import Rejected
from tasks.data.store import record

ROWS_SHOWN = 50  # of rejected.csv in the report; the file has them all


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest brought in.

    rejected: rows of `rejected_file` (path, row, what, reason): what was left out.  repaired: rows of the
    file beside it: what was mended.  twins: images whose bytes another image of the dataset has too.
    changed: False when the dataset was the same before.  notes: what was seen, in sentences.
    """

    dataset: str
    images: int
    boxes: int
    rejected: int
    splits: dict[str, int]
    concepts: tuple[str, ...]
    dataset_version: str
    data_version: str
    format: str
    repaired: int
    twins: int
    changed: bool
    rejected_file: str
    notes: tuple[str, ...]

    def sentence(self) -> str:
        """For a person to read."""
        splits = ", ".join(f"{split} {count}" for split, count in self.splits.items())
        mended = Path(self.rejected_file).with_name("repaired.csv")
        parts = [
            f"{self.dataset}: {self.images} images ({splits}), {self.boxes} boxes, {len(self.concepts)} concepts",
            *self.notes,
            f"left out: {self.rejected}, each with its reason in {self.rejected_file}"
            if self.rejected
            else "left out: nothing",
            f"mended and kept: {self.repaired}, each with what was wrong in {mended}" if self.repaired else "",
            f"version {self.dataset_version}{'' if self.changed else ' (as before)'}",
        ]
        return "\n".join(filter(None, parts))


def account(draft: Draft, format: str, versions: Versions, changed: bool) -> Ingested:
    """The answer for a draft that is on disk as these versions."""
    splits = Counter(entry.split for entry in draft.annotations)
    contents = Counter(entry.sha256 for entry in draft.annotations)
    return Ingested(
        dataset=draft.name,
        images=len(draft.images),
        boxes=sum(len(entry.boxes) for entry in draft.annotations),
        rejected=len(draft.rejected),
        splits={name: splits[name] for name in SPLITS},
        concepts=draft.concepts,
        dataset_version=versions.dataset_version,
        data_version=versions.data_version,
        format=format,
        repaired=len(draft.repaired),
        twins=sum(count for count in contents.values() if count > 1),
        changed=changed,
        rejected_file=str(record(draft.name) / "rejected.csv"),
        notes=draft.notes,
    )


def counts(draft: Draft) -> list[dict[str, Any]]:
    """A row for each concept: its images in each split, and its boxes in all."""
    images: Counter[tuple[str, str]] = Counter()
    boxes: Counter[str] = Counter()
    for entry in draft.annotations:
        images.update((name, entry.split) for name in {*entry.concepts, *entry.box_concepts})
        boxes.update(entry.box_concepts)
    return [
        {"concept": name, **{split: images[name, split] for split in SPLITS}, "boxes": boxes[name]}
        for name in draft.concepts
    ]


def told(ingested: Ingested, draft: Draft) -> str:
    """The report as Markdown."""
    facts = [
        {"": "images", "count": ingested.images},
        *({"": f"in {split}", "count": count} for split, count in ingested.splits.items()),
        {"": "boxes", "count": ingested.boxes},
        {"": "left out", "count": ingested.rejected},
        {"": "mended", "count": ingested.repaired},
        {"": "twins", "count": ingested.twins},
    ]
    parts = [
        f"# {ingested.dataset}",
        "\n".join(f"- {note}" for note in (*ingested.notes, f"version `{ingested.dataset_version}`")),
        _table(facts),
        "## By concept",
        _table(counts(draft)),
        *_rows("Left out", draft.rejected),
        *_rows("Mended", draft.repaired),
    ]
    return "\n\n".join(parts)


def _rows(title: str, rows: Sequence[Rejected]) -> Iterable[str]:
    if not rows:
        return
    reasons = Counter(row.reason.partition(":")[0] for row in rows)
    yield f"## {title}: {len(rows)}"
    yield _table([{"reason": reason, "rows": count} for reason, count in reasons.most_common(20)])
    shown = [{"path": r.path, "row": r.row, "what": r.what, "reason": r.reason} for r in rows[:ROWS_SHOWN]]
    yield _table(shown) + (f"\n\nand {len(rows) - ROWS_SHOWN} more" if len(rows) > ROWS_SHOWN else "")


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)
