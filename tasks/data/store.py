"""Writes a dataset: built beside its place, then put there in one step, so that a kill leaves the old or the new."""

from __future__ import annotations

import csv
import ctypes
import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import yaml

from models.runtime.faults import Fault, listed, short
from tasks.data.annotations import Annotation
from tasks.data.dataset import KEYS, folder_of
from tasks.data.formats.source import Rejected
from tasks.files import alone_at, disk_told, room_for, write
from tasks.workspace import root, state

log = logging.getLogger(__name__)
COLUMNS = tuple(field.name for field in fields(Rejected))


@contextmanager
def locked() -> Iterator[None]:
    """Only one at a time may change `data/` and data.dvc; the next waits, and goes on when a holder is killed.

    At the end, refused or done, what was built or stood there before is taken away: it may fill the disk.
    What the disk does not allow comes out as Fault.
    """
    path = state() / "ingest" / ".lock"  # no dataset's name begins with a dot
    waiting = "another ingest is at work: waiting until it is done"
    with disk_told(root()), alone_at(path, lambda: log.warning(waiting)):
        try:
            yield
        finally:
            tidy()


def record(name: str) -> Path:
    """The folder of what an ingest leaves for people and for the next ingest; git does not see it."""
    folder = state() / "ingest" / folder_of(name).name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def heading(name: str, task: str, exclusive: bool, concepts: Iterable[str]) -> str:
    """The text of dataset.yaml."""
    values = (name, task, exclusive, sorted(concepts))
    return yaml.safe_dump(dict(zip(KEYS, values, strict=True)), sort_keys=False, allow_unicode=True)


def lines(annotations: Iterable[Annotation]) -> str:
    """The text of annotations.jsonl: sorted by image, one canonical line each."""
    return "".join(f"{entry.line()}\n" for entry in sorted(annotations, key=lambda entry: entry.image))


def build(name: str, head: str, annotations: Sequence[Annotation], files: Mapping[str, Path]) -> Path:
    """Write a dataset into `data/.<name>.new`, where nothing looks for one, and answer that folder.

    files: image → where its bytes are; they are copied, and must still have the annotation's sha256.
    Raises Fault when the disk has no room for the copies (those in DVC's cache count when they are made), when a
    picture changed since it was looked at, and when one cannot be read or written. Then nothing is left of it.
    """
    tidy()
    folder = _beside(name, "new")
    try:
        room_for([files[entry.image] for entry in annotations], root())
        for parent in {(folder / "images" / entry.image).parent for entry in annotations}:
            parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            copies = threads.map(lambda entry: _copy(files[entry.image], folder / "images", entry), annotations)
            for _ in copies:  # a Fault of any thread comes out here
                pass
        (folder / "dataset.yaml").write_text(head, encoding="utf-8")
        (folder / "annotations.jsonl").write_text(lines(annotations), encoding="utf-8")
        os.sync()  # all files at once: an fsync each took 20 times as long for 10,000 of them
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise Fault(f"{error.filename or folder}: cannot be read or written ({error.strerror or error})") from None
        raise
    return folder


def swap(name: str) -> None:
    """Let what `build` made take the dataset's place, in one step where the file system can.

    The old one is then beside it, until `tidy` takes it away.
    """
    place, new = folder_of(name), _beside(name, "new")
    if not place.exists():
        new.rename(place)
    elif not _exchange(new, place):
        place.rename(_beside(name, "old"))
        new.rename(place)


def tidy() -> None:
    """Take away what ingests have left, also those that were killed; between two renames, put the old dataset back.

    For who holds the lock: else these may be another ingest's.
    """
    data = root() / "data"
    for old in data.glob(".*.old/"):
        place = data / old.name.removeprefix(".").removesuffix(".old")
        if not place.exists():
            old.rename(place)
    for folder in (*data.glob(".*.new/"), *data.glob(".*.old/")):
        shutil.rmtree(folder)
    if data.exists():
        for folder in (data, root()):
            _sync_folder(folder)


def write_rows(path: Path, rows: Iterable[Rejected]) -> None:
    """Write rows (path, row, what, reason) as CSV, in one step."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerows([COLUMNS, *map(astuple, rows)])
    write(path, text.getvalue())


def read_rows(path: Path) -> tuple[Rejected, ...]:
    """The rows of a rejected.csv. Raises Fault when it is missing or has other columns."""
    where = short(str(path), 200)
    try:
        if not path.is_file():  # of a pipe the end may never come
            raise FileNotFoundError("no regular file is there")
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            names, rows = table.fieldnames or (), [(table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Fault(f"{where}: cannot be read as a rejected.csv ({short(str(error), 200)})") from None
    if sorted(names) != sorted(COLUMNS):
        raise Fault(f"{where}: must have the columns {', '.join(COLUMNS)}; it has {listed(names) or 'none'}")
    for line, row in rows:
        if None in row or None in row.values():
            raise Fault(
                f"{path}:{line}: must have {len(COLUMNS)} fields. One with a comma in it needs quotes around it."
            )
    return tuple(Rejected(**row) for _, row in rows)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, in one step."""
    write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _beside(name: str, what: str) -> Path:
    """A place in `data/` that is no dataset's: .dvcignore and `datasets()` leave out what begins with a dot."""
    return folder_of(name).with_name(f".{name}.{what}")


def _copy(source: Path, images: Path, entry: Annotation) -> None:
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise Fault(f"{source}: changed while it was being ingested. Try again when nothing writes there.")
    (images / entry.image).write_bytes(content)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places atomically; False where the system cannot (Linux alone can)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
