"""YOLO: a text file a picture, each line `class cx cy w h` in fractions of the picture's width and height.

Labels lie beside the pictures (`1.jpg`, `1.txt`) or in the `labels/` that stands for their `images/`.
Without a list of names the concepts are the class numbers.
A picture without a label file is one with nothing on it, as YOLO's own tools read it; the note counts them.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Sequence
from itertools import islice

from models.runtime.faults import Fault, short
from tasks.data.annotations import Box
from tasks.data.formats.claims import Claim
from tasks.data.formats.files import Files
from tasks.data.formats.names import concept
from tasks.data.formats.source import Boxed, Labelled, Rejected, Source, columns
from tasks.data.formats.splits import settle
from tasks.data.formats.yolo_setup import NAME_FILES, Setup, data_files, is_list, setup_of

LOOKED_AT = 50  # label files that are opened to recognise the format


def claim(files: Files) -> Claim | None:
    """Label files that hold rows of numbers, or a data.yaml with names and splits."""
    tables, labels = data_files(files), labels_of(files)
    rows = any(_looks(files, path) for path in islice(labels.values(), LOOKED_AT))
    if not files.pictures or not (rows or tables):
        return None
    seen = f"{len(labels)} label files of numbers" if rows else ""
    return Claim(" and ".join(filter(None, (seen, ", ".join(tables)))), frozenset(labels if rows else files.pictures))


def _looks(files: Files, path: str) -> bool:
    with (files.root / path).open(encoding="utf-8", errors="replace") as file:
        first = next((line.split() for line in file if line.strip()), [])
    return len(first) >= 5 and first[0].isdecimal() and all(map(_is_number, first))


def read(files: Files) -> Source:
    """One image for each picture. A row of more than five numbers is an outline, and its box is taken.

    Splits: data.yaml's, obj.data's or lists called `train.txt`, …; else folders called after splits. Pictures
    that are in none of the lists and have no labels are rejected, and so are labels without a picture.
    Raises Fault when there is no label file at all.
    """
    setup = setup_of(files)
    labels = labels_of(files)
    if not labels:
        raise Fault(f"{files.root}: no picture has a label file, so it is not YOLO. There is: {files.counts}")
    rejected = list(setup.rejected)
    images = {}
    names: set[str] = set()
    for path in files.pictures:
        if setup.listed and path not in labels and path not in setup.said:
            rejected.append(Rejected(path, "", "image", "no annotation: no label file, and in no split"))
            continue
        boxes, rows = _boxes(files, path, labels[path], setup) if path in labels else ([], [])
        rejected += rows
        names.update(box.concept for box in boxes)
        where = labels.get(path, path)
        images[path] = Labelled(files.root / path, path, where, relative=True, **columns(boxes))
    rejected += [
        Rejected(p, "", "annotation", "missing: there is no picture for these labels") for p in _orphans(files, labels)
    ]
    splits, remark = settle({path: setup.said.get(path, []) for path in images}, setup.named)
    names.update(name for name in map(_usable, setup.names) if name)
    empty = len(images.keys() - labels.keys())
    notes = [
        f"{len(labels)} label files" + (f" with {', '.join(setup.seen)}" if setup.seen else ""),
        f"{empty} pictures have none and count as empty" if empty else "",
        "" if setup.names else "there are no names, so the concepts are the class numbers",
        remark,
    ]
    found = tuple(image.within(splits.get(path)) for path, image in images.items())
    return Source(
        "yolo", "detection", False, tuple(sorted(names)), found, tuple(rejected), "; ".join(filter(None, notes))
    )


def labels_of(files: Files) -> dict[str, str]:
    """By picture, its label file, for those that have one."""
    texts = frozenset(path for path in files.paths if path.endswith(".txt") and not _other(path))
    found = ((path, next((text for text in label_paths(path) if text in texts), None)) for path in files.pictures)
    return {path: text for path, text in found if text}


def label_paths(picture: str) -> list[str]:
    """Where a picture's labels may lie, likeliest first: the last `images` of its path stands for `labels`."""
    folder, name = posixpath.split(posixpath.splitext(picture)[0])
    parts = folder.split("/")
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    places = dict.fromkeys(("/".join(parts), folder, posixpath.join(folder, "labels")))
    return [posixpath.join(place, f"{name}.txt") for place in places]


def _boxes(files: Files, picture: str, path: str, setup: Setup) -> tuple[list[Boxed], list[Rejected]]:
    try:
        lines = (files.root / path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        return [], [Rejected(picture, path, "annotation", f"not UTF-8: {error.reason}")]
    boxes, rejected = [], []
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            if line.strip():
                boxes.append(_boxed(line.split(), where, setup))
        except ValueError as error:
            rejected.append(Rejected(picture, where, "box", str(error)))
    return boxes, rejected


def _boxed(words: Sequence[str], where: str, setup: Setup) -> Boxed:
    """A row as a box in fractions, xyxy. Raises ValueError with the reason."""
    if not all(map(_is_number, words)):
        raise ValueError(f"not a row of numbers: {short(' '.join(words))!r}")
    first, *numbers = map(float, words)
    name = _name(first, setup.names)
    if len(numbers) == 4 or (setup.pose and len(numbers) > 4):
        x, y, width, height = numbers[:4]
        return Boxed((x - width / 2, y - height / 2, x + width / 2, y + height / 2), name, where)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"neither a box (class cx cy w h) nor an outline (class x y x y x y …): {len(words)} numbers")
    return Boxed(_around(numbers[::2], numbers[1::2]), name, where)


def _around(x: Sequence[float], y: Sequence[float]) -> Box:
    return min(x), min(y), max(x), max(y)


def _usable(name: str) -> str | None:
    """A class's name as a concept; None for one that cannot be, whose boxes are rejected where they stand."""
    try:
        return concept(name)
    except ValueError:
        return None


def _name(number: float, names: Sequence[str]) -> str:
    if number < 0 or number != int(number):
        raise ValueError(f"no class: {number:g} is not a whole number from 0 on")
    if names and number >= len(names):
        raise ValueError(f"no such class: {number:g}, and there are {len(names)} names, from 0 on")
    return concept(names[int(number)] if names else str(int(number)))


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _other(path: str) -> bool:
    """Text files that are no labels, whatever a picture beside them is called."""
    return posixpath.basename(path) in NAME_FILES


def _orphans(files: Files, labels: dict[str, str]) -> Iterable[str]:
    """Label files without a picture: where other labels are, with a row of numbers, and no list."""
    used = set(labels.values())
    folders = {posixpath.dirname(path) for path in used}
    for path in files.paths:
        if path.endswith(".txt") and path not in used and not _other(path):
            there = posixpath.dirname(path) in folders or re.search(r"(^|/)labels/", path)
            if there and not is_list(files, path) and _looks(files, path):
                yield path
