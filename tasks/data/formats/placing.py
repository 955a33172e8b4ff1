"""Where an exported picture goes: the name it has in the dataset, less the folders of the format it came from."""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Callable
from pathlib import Path

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.data.formats.names import split_of_folder

PICTURE_FOLDERS = ("images", "JPEGImages")


def inner_names(dataset: Dataset, *levels: Callable[[Annotation], str]) -> dict[str, str]:
    """By image: its path within a format's folder for pictures, which may have its split and concept above it.

    `images/` or `JPEGImages/` comes off when every image has it, and so does each of `levels` (the split, the
    concept), outermost first: exported, ingested and exported again, a dataset has the same names. Two images
    that have the same folders above them never get one name.
    """
    names = {entry.image: entry.image for entry in dataset.annotations}
    for folder in PICTURE_FOLDERS:
        names = _stripped(dataset, names, lambda _, folder=folder: folder, levels)  # type: ignore[misc]
    for level in levels:
        names = _stripped(dataset, names, level, levels)
    return names


def _stripped(
    dataset: Dataset,
    names: dict[str, str],
    level: Callable[[Annotation], str],
    levels: tuple[Callable[[Annotation], str], ...],
) -> dict[str, str]:
    """Names without their first folder, if it is what `level` says for all of them and they stay distinct."""
    shorter: dict[str, str] = {}
    taken = set()
    for entry in dataset.annotations:
        first, _, rest = names[entry.image].partition("/")
        if not rest or level(entry) not in (first, split_of_folder(first)):
            return names
        shorter[entry.image] = rest
        taken.add((*(above(entry) for above in levels), rest))
    return shorter if len(taken) == len(shorter) else names


def distinct_stems(names: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names for a format that knows a picture by its path without suffix, and what had to be renamed.

    `a.jpg` and `a.png` in one folder cannot share `a.txt`: the second becomes `a_png.png`.
    """
    given: dict[str, str] = {}
    taken = {posixpath.splitext(name)[0] for name in names.values()}
    used: set[str] = set()
    for image, name in sorted(names.items()):
        stem, suffix = posixpath.splitext(name)
        while stem in used or (stem in taken and stem != posixpath.splitext(name)[0]):
            stem = f"{stem}_{suffix[1:]}"
        used.add(stem)
        given[image] = stem + suffix
    renamed = [f"{name!r} is called {given[image]!r}" for image, name in names.items() if given[image] != name]
    return given, tuple(renamed)


def copy(dataset: Dataset, entry: Annotation, target: Path) -> None:
    """Copy a picture's bytes. Raises Fault when it is not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(dataset.path(entry), target)
    except FileNotFoundError:
        raise Fault(
            f"{dataset.path(entry)}: there is no such picture, but annotations.jsonl names it. "
            f"Ingest dataset {dataset.name} again, or `dvc checkout` it"
        ) from None


def write_text(path: Path, text: str) -> None:
    """A text file as UTF-8, its lines ended by a line feed alone on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def number(value: float) -> str:
    """A number as text that reads back as exactly the same one; whole ones without a point."""
    return str(int(value)) if value.is_integer() else repr(value)


def odd_areas(entry: Annotation) -> int:
    """How many boxes of an image have an area of their own, which only COCO keeps."""
    plain = ((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in entry.boxes)
    return sum(area != product for area, product in zip(entry.areas, plain, strict=True))
