"""Labelled pictures in the forms that people keep them in: recognised, read and written."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from models.runtime.faults import Fault, choices, short
from tasks.data.dataset import Dataset, Task
from tasks.data.formats import (
    coco,
    coco_writer,
    csv_table,
    csv_writer,
    folder,
    voc,
    voc_writer,
    yolo,
    yolo_writer,
)
from tasks.data.formats.broken import broken
from tasks.data.formats.claims import Claim
from tasks.data.formats.files import Files, walk
from tasks.data.formats.names import readable
from tasks.data.formats.source import Boxed, Labelled, Rejected, Source
from tasks.data.whole import whole
from tasks.workspace import root

__all__ = ["FORMATS", "Boxed", "Format", "Labelled", "Rejected", "Source", "Written", "check_format", "read", "write"]


@dataclass(frozen=True, slots=True)
class Format:
    """What can be done with one format.

    looks_like: how a source of it is recognised, for people.  claim: its ground for being a source's format, or
    none.  read, write: see `read` and `write` below.  task: what its labels are good for.
    """

    looks_like: str
    task: Task
    claim: Callable[[Files], Claim | None]
    read: Callable[[Files], Source]
    write: Callable[[Dataset, Path], tuple[str, ...]]


FORMATS = {
    "voc": Format("Pascal VOC (.xml with <annotation>)", "detection", voc.claim, voc.read, voc_writer.write),
    "coco": Format(
        "COCO (.json with images, annotations, categories)", "detection", coco.claim, coco.read, coco_writer.write
    ),
    "yolo": Format(
        "YOLO (.txt of numbers for each picture, data.yaml)", "detection", yolo.claim, yolo.read, yolo_writer.write
    ),
    "csv": Format(
        f"CSV (columns {csv_table.FORMS})", "classification", csv_table.claim, csv_table.read, csv_writer.write
    ),
    "folder": Format(
        "a folder per class (two or more, also below train/ val/ test/)",
        "classification",
        folder.claim,
        folder.read,
        folder.write,
    ),
}
HOLDS = {"classification": "concepts of whole pictures and no boxes", "detection": "boxes and no picture's concepts"}
BY_SUFFIX = {".csv": "csv", ".tsv": "csv", ".json": "coco", ".yaml": "yolo", ".yml": "yolo"}


@dataclass(frozen=True, slots=True)
class Written:
    """An export. files: how many there are in `folder`.  lost: what the format cannot hold, a sentence each."""

    folder: Path
    files: int
    lost: tuple[str, ...]


def read(source: Path, format: str = "auto") -> Source:
    """What a labelled folder says of its pictures, or a .csv, .json or data.yaml among them; no picture is opened.

    Links that lead out of the source, and files whose name cannot be used, are among the rejected.
    Raises Fault when the source cannot be read as a whole, holds nothing, and when `auto` finds no format (says
    what was looked for and what is there) or might be two (names both).
    """
    check_format(format)
    files = walk(source)
    try:
        found = FORMATS[_detect(files) if format == "auto" else format].read(files)
    except OSError as error:
        raise Fault(f"{error.filename or source}: cannot be read ({error.strerror or error})") from None
    if not found.images and not found.rejected:
        raise Fault(f"{source}: there is no picture in it ({found.note})")
    spoken = {row.path for row in found.rejected}
    refused = () if files.only else tuple(row for row in files.refused if row.path not in spoken)
    rows = (*found.rejected, *refused)
    told = tuple(Rejected(*map(readable, astuple(row))) for row in rows)
    return replace(found, rejected=told, note=readable(found.note) + _left_out(files))


def _left_out(files: Files) -> str:
    """What of a source is no file of it, for a person: whole folders may be among that."""
    if files.only or not files.refused:
        return ""
    first = files.refused[0]
    return f". Left out: {len(files.refused)}, such as {readable(short(first.path))} ({first.reason})"


def write(dataset: Dataset, format: str, folder: Path) -> Written:
    """Write a dataset in a format: pictures byte for byte, labels, splits. All of it or nothing.

    Raises Fault when the format cannot hold such a dataset, when a picture is not there, and when `folder` is
    neither new nor empty, or lies in the dataset or in `data/`.
    """
    _known(format)
    if FORMATS[format].task != dataset.task:
        others = [name for name, known in FORMATS.items() if known.task == dataset.task]
        raise Fault(
            f"dataset {dataset.name}: {format} holds {HOLDS[FORMATS[format].task]}, and this is a dataset for "
            f"{dataset.task}. Use --format {' or --format '.join(others)}"
        )
    target = _free(dataset, folder)
    with whole(target) as beside:
        lost = FORMATS[format].write(dataset, beside)
        files = sum(len(names) for _, _, names in os.walk(beside))
    return Written(folder, files, lost)


def check_format(format: str) -> None:
    """Raises Fault with the formats there are unless it is one of them, or `auto`."""
    if format != "auto":
        _known(format)


def _known(format: str) -> None:
    if format not in FORMATS:
        raise Fault(f"there is no format {short(format)!r}. {choices(format, FORMATS)}")


def _free(dataset: Dataset, folder: Path) -> Path:
    """The resolved folder, if an export may go there."""
    target = folder.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Fault(f"{folder}: is there already, and is not an empty folder. Choose another, or empty it")
    if target.is_relative_to(dataset.folder.resolve()):
        raise Fault(f"{folder}: lies in the dataset itself. Choose a folder outside {dataset.folder}")
    if target.is_relative_to((root() / "data").resolve()):
        raise Fault(f"{folder}: lies in data/, which holds the current versions. Choose a folder outside.")
    return target


def _detect(files: Files) -> str:
    if files.only:
        suffix = posixpath.splitext(files.only)[1].lower()
        if suffix not in BY_SUFFIX:
            raise Fault(
                f"{files.root / files.only}: a source is a folder, or a file that speaks of pictures "
                f"({', '.join(BY_SUFFIX)})"
            )
        return BY_SUFFIX[suffix]
    claims = {name: claim for name, format in FORMATS.items() if (claim := format.claim(files))}
    if "folder" in claims and _spoken_for(claims):
        del claims["folder"]
    if len(claims) == 1:
        return next(iter(claims))
    if not claims:
        known = "; ".join(format.looks_like for format in FORMATS.values())
        raise Fault(
            f"{files.root}: no known form of labelled pictures.{broken(files)} Looked for: {known}. "
            f"There is: {files.counts}{_left_out(files)}. "
            f"If it is one of them all the same, say which: --format {'|'.join(FORMATS)}"
        )
    seen = " or ".join(f"{name} ({claim.seen})" for name, claim in claims.items())
    raise Fault(f"{files.root}: it could be {seen}. Say which: --format {' or --format '.join(claims)}")


def _spoken_for(claims: dict[str, Claim]) -> bool:
    """Whether folders of pictures are no class folders, because other labels speak of the pictures.

    They are still class folders when these labels speak of less than half of them, or when a CSV's concepts are
    the folders' names: then both say something of the same pictures, and the user has to choose.
    """
    classes = claims["folder"]
    spoken = frozenset().union(*(claim.pictures for name, claim in claims.items() if name != "folder"))
    same = any(claim.concepts & classes.concepts for name, claim in claims.items() if name != "folder")
    return 2 * len(spoken & classes.pictures) >= len(classes.pictures) and not same
