"""COCO: JSON files with `images`, `annotations` and `categories`, in any folder beside or above the pictures.

A box's own `area` is kept, its outline (`segmentation`) is not. `ignore` is read as difficult.
What else an image's entry says (`license`, `date_captured`, …) becomes its metadata; null stands for
what JSON cannot hold for good.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault, short
from tasks.data.annotations import SPLITS, sound
from tasks.data.formats.claims import Claim
from tasks.data.formats.coco_entries import boxed, categories, key, whole
from tasks.data.formats.files import Files, Missing
from tasks.data.formats.names import readable, split_of_file, split_of_path
from tasks.data.formats.source import Boxed, Labelled, Rejected, Source, columns
from tasks.data.formats.splits import settle

SMALL = 8_000_000  # bytes of a file that is read whole to recognise it; of a larger one the beginning tells
HEAD = 65_536
OWN = ("id", "file_name", "width", "height")  # of an image's entry; the rest is metadata
PARTS = ("images", "annotations", "categories")
OTHERS = ("captions_", "person_keypoints_", "stuff_", "panoptic_", "image_info_")  # COCO's own, beside `instances_`


@dataclass(slots=True)
class Found:
    """What all files together say of one picture, while they are read."""

    where: str
    size: tuple[int, int] | None
    metadata: dict[str, Any]
    splits: list[str] = field(default_factory=list)
    boxes: list[Boxed] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """What has been read so far."""

    images: dict[str, Found] = field(default_factory=dict)
    concepts: set[str] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)


def claim(files: Files) -> Claim | None:
    """A JSON object with `images`, `annotations` and `categories` that are not all predictions."""
    paths = [path for path in _candidates(files) if _looks(files.root / path)]
    if not paths:
        return None
    names = [_base_names(files.root / path) for path in paths]
    named = None if None in names else set().union(*filter(None, names))
    spoken = [path for path in files.pictures if named is None or posixpath.basename(path) in named]
    return Claim(f"{', '.join(paths[:3])} with images, annotations and categories", frozenset(spoken))


def read(files: Files) -> Source:
    """All COCO files of a source as one; pictures that none of them names are rejected.

    A picture in several files has the boxes of all, each once. The split is in the file's name
    (`instances_train2017.json`) or its folder's (`train/_annotations.coco.json`).
    Files of predictions (every annotation has a `score`), of captions and of keypoints beside `instances_…` are
    not used. Raises Fault when there is no file, or one that is asked for cannot be read.
    """
    paths = _candidates(files)
    reading, used, skipped = Reading(), [], []
    named: set[str] = set()
    for path in sorted(paths, key=lambda path: (SPLITS.index(_split(path) or "train"), path)):
        content = _content(files, path, reading)
        if content is None:
            skipped.append(path)
            continue
        used.append(path)
        named.update(filter(None, (_split(path),)))
        _read_file(files, path, content, reading)
    if not used:
        broken = "".join(f" {row.path}: {row.reason}." for row in reading.rejected)
        raise Fault(
            f"{files.root}: there is no .json that holds the lists {', '.join(PARTS)}, so it is not COCO.{broken} "
            f"There is: {files.counts}"
        )
    spoken = {row.path for row in reading.rejected} | set(reading.images)
    if not files.only:
        reason = "no annotation: no COCO file names it"
        reading.rejected += [Rejected(p, "", "image", reason) for p in files.pictures if p not in spoken]
    splits, remark = settle({name: found.splits for name, found in reading.images.items()}, named)
    images = tuple(
        Labelled(
            files.root / name, name, found.where, splits.get(name),
            size=found.size, metadata=found.metadata, **columns(found.boxes),
        )
        for name, found in sorted(reading.images.items())
    )  # fmt: skip
    seen = f"{', '.join(used)} with {len(images)} images"
    note = "; ".join(filter(None, (seen, f"not used: {', '.join(skipped)}" if skipped else "", remark)))
    return Source("coco", "detection", False, tuple(sorted(reading.concepts)), images, tuple(reading.rejected), note)


def _candidates(files: Files) -> list[str]:
    paths = files.ending(".json")
    names = {path: posixpath.basename(path) for path in paths}
    if any(name.startswith("instances_") for name in names.values()):
        return [path for path in paths if not names[path].startswith(OTHERS)]
    return paths


def _looks(path: Path) -> bool:
    if path.stat().st_size <= SMALL:
        try:
            return _is_coco(json.loads(path.read_bytes()))
        except (ValueError, RecursionError):
            return False
    with path.open("rb") as file:
        return re.search(rb'"(images|annotations|categories)"\s*:\s*\[', file.read(HEAD)) is not None


def _base_names(path: Path) -> set[str] | None:
    """The base names of a small file's pictures; None for a large one, which may speak of any."""
    if path.stat().st_size > SMALL:
        return None
    entries = json.loads(path.read_bytes())["images"]
    names = [entry.get("file_name") for entry in entries if isinstance(entry, dict)]
    return {re.split(r"[/\\]", name)[-1] for name in names if isinstance(name, str)}


def _is_coco(content: object) -> bool:
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        return False
    rows = content["annotations"]
    return not rows or not all(isinstance(row, dict) and "score" in row for row in rows)


def _content(files: Files, path: str, reading: Reading) -> dict[str, Any] | None:
    """A COCO file's content; None when it is something else. One that cannot be parsed is rejected."""
    try:
        # Python's parser takes NaN and Infinity, which no other JSON reader does: they are no numbers here.
        content = json.loads((files.root / path).read_bytes(), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        reading.rejected.append(Rejected(path, "", "annotation", f"broken JSON: {error}"))
        return None
    return content if _is_coco(content) else None


def _split(path: str) -> str | None:
    return split_of_file(posixpath.splitext(posixpath.basename(path))[0]) or split_of_path(path)


def _read_file(files: Files, path: str, content: dict[str, Any], reading: Reading) -> None:
    names = categories(path, content["categories"], reading.rejected)
    reading.concepts.update(names.values())
    pictures = _read_images(files, path, content["images"], reading)
    boxes: dict[str, list[Boxed]] = defaultdict(list)
    for number, row in enumerate(content["annotations"], 1):
        entry = row if isinstance(row, dict) else {}
        where = readable(f"{path}#{entry['id']}" if "id" in entry else f"{path}#annotation {number}")
        image = key(entry.get("image_id"))
        name = pictures.get(image)
        if name is None:
            if image not in pictures:  # else its image is among the rejected already
                reason = f"no such image: {short(entry.get('image_id'))}"
                reading.rejected.append(Rejected(path, where, "box", reason))
            continue
        try:
            boxes[name].append(boxed(entry, names, where))
        except ValueError as error:
            reading.rejected.append(Rejected(name, where, "box", str(error)))
    for name, rows in boxes.items():
        present = {(row.box, row.concept) for row in reading.images[name].boxes}
        reading.images[name].boxes += [row for row in rows if (row.box, row.concept) not in present]


def _read_images(files: Files, path: str, entries: list[Any], reading: Reading) -> dict[object, str | None]:
    """By id, the picture; None where it is rejected."""
    pictures: dict[object, str | None] = {}
    named: list[tuple[object, str, dict[str, Any]]] = []
    for number, entry in enumerate(entries, 1):
        identity = key(entry.get("id")) if isinstance(entry, dict) else None
        said = entry.get("file_name") if isinstance(entry, dict) else None
        if identity is None or not isinstance(said, str) or identity in pictures:
            where = f"{path}#image {number}"
            reason = (
                f"a second image: the id {short(identity)} is taken"
                if identity in pictures
                else "no id or no file_name"
            )
            reading.rejected.append(Rejected(said if isinstance(said, str) else path, where, "image", reason))
        else:
            named.append((identity, said, entry))
        if identity is not None:
            pictures.setdefault(identity, None)
    found = files.find([said for _, said, _ in named], _bases(path))
    for (identity, said, entry), name in zip(named, found, strict=True):
        where = readable(f"{path}#{identity}")
        if isinstance(name, Missing):
            reading.rejected.append(Rejected(name.path or said, where, "image", str(name)))
            continue
        pictures[identity] = name
        other = {field: value if sound(value) else None for field, value in entry.items() if field not in OWN}
        other = {field: value for field, value in other.items() if sound(field)}
        image = reading.images.setdefault(name, Found(where, whole(entry), other))
        image.splits += filter(None, (_split(path),))
    return pictures


def _bases(path: str) -> list[str]:
    """Folders from which a file's `file_name`s may count, nearest first."""
    folder, stem = posixpath.split(posixpath.splitext(path)[0])
    tag = stem.partition("_")[2] or stem  # instances_train2017.json speaks of train2017/
    near = ["", "images", tag, f"images/{tag}"]
    return [posixpath.join(base, part) for base in (folder, posixpath.dirname(folder), "") for part in near]
