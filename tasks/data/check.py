"""What of a source can be used: every picture decoded once, every box looked at. Nothing is dropped in silence."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from models.runtime.faults import Fault
from models.runtime.images import decode
from tasks.data.annotations import Annotation
from tasks.data.boxes import Misfit, fitted
from tasks.data.dataset import inside
from tasks.data.formats.source import Labelled, Rejected

Step = TypeVar("Step")
UNDECIDED = "train"  # an annotation must name a split; split.py decides which


@dataclass(frozen=True, slots=True)
class Checked:
    """One image that can be used.

    file: where its bytes are.  said: the split its source gives it.  annotation: its line, but for the split.
    rejected: boxes of it that were left out.  repaired: what was mended; rows of the same form.
    """

    file: Path
    said: str | None
    annotation: Annotation
    rejected: tuple[Rejected, ...] = ()
    repaired: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a source's images: those to use, the rows left out, the rows mended. Sorted by image."""

    images: tuple[Checked, ...]
    rejected: tuple[Rejected, ...]
    repaired: tuple[Rejected, ...]


def check(labelled: Labelled, sizes: Mapping[str, tuple[int, int]] | None = None) -> Checked | Rejected:
    """One image with what of its labels can be used; Rejected, with the reason, when the picture cannot.

    sizes: sha256 → (width, height) of pictures that were decoded whole before and need not be again.
    """
    if not inside(labelled.name):
        return _left_out(labelled, "its path leaves the source's folder")
    try:
        content = labelled.file.read_bytes()
    except FileNotFoundError:
        return _left_out(labelled, "missing: there is no such file")
    except OSError as error:
        return _left_out(labelled, f"cannot be read ({error.strerror})")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        width, height = (sizes or {}).get(sha256) or decode(content).size
        boxes = fitted(labelled, content, (width, height))
    except Fault as fault:
        return _left_out(labelled, str(fault).removeprefix("image: "))
    except Misfit as misfit:
        return _left_out(labelled, str(misfit))
    annotation = Annotation(
        image=labelled.name,
        sha256=sha256,
        width=width,
        height=height,
        split=UNDECIDED,
        concepts=tuple(sorted(set(labelled.concepts))),
        **boxes.columns,
        metadata=labelled.metadata,
    )
    return Checked(labelled.file, labelled.split, annotation, boxes.rejected, boxes.repaired)


def check_all(images: Sequence[Labelled], sizes: Mapping[str, tuple[int, int]] | None = None) -> Outcome:
    """Every image of a source, checked by as many threads as there are cores (Pillow decodes outside the GIL).

    images: of names that differ, as readers give them.
    """
    usable: list[Checked] = []
    rejected: list[Rejected] = []
    # Warning filters are one for all threads, and the decoder sets them: put them back when all are done.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as threads:
        found_all = threads.map(lambda one: check(one, sizes), images)
        for found in progress(found_all, len(images), "Looking at pictures"):
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                usable.append(found)
                rejected.extend(found.rejected)
    kept = tuple(sorted(usable, key=lambda image: image.annotation.image))
    return Outcome(kept, tuple(rejected), tuple(row for image in kept for row in image.repaired))


def without_contradictions(images: Sequence[Checked]) -> tuple[tuple[Checked, ...], tuple[Rejected, ...]]:
    """Of mutually exclusive labels: the images but for those whose very bytes also stand under another concept.

    Which label is right cannot be known, so that all copies go.
    """
    named: dict[str, dict[tuple[str, ...], str]] = {}
    for image in images:
        named.setdefault(image.annotation.sha256, {}).setdefault(image.annotation.concepts, image.annotation.image)
    rejected = []
    for image in images:
        entry = image.annotation
        others = [f"{name} ({', '.join(c)})" for c, name in named[entry.sha256].items() if c != entry.concepts]
        if others:
            reason = f"the same picture stands under another concept: here {', '.join(entry.concepts)}, "
            rejected.append(Rejected(entry.image, "", "image", f"{reason}also as {', '.join(others)}"))
    gone = {row.path for row in rejected}
    return tuple(image for image in images if image.annotation.image not in gone), tuple(rejected)


def progress(steps: Iterable[Step], count: int, what: str) -> Iterable[Step]:
    """The same steps with a bar on standard error, where a person looks at it."""
    return track(steps, what, count, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _left_out(labelled: Labelled, reason: str) -> Rejected:
    return Rejected(labelled.name, "", "image", reason)
