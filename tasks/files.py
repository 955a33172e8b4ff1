"""Writing files: so that nobody ever reads half of one, one at a time, where there is room; and tables as CSV."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault, short

LONGEST = 180  # bytes of a file's name without its suffix
Rows = list[dict[str, Any]]  # of a table: by column

# What a disk says that is full or not to be written to. What is else an OSError may be another machine's word.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}


def write(path: Path, content: bytes | str) -> Path:
    """Put content (text as UTF-8) at a path, whole or not at all: beside it, flushed, then renamed.

    Folders are made. What stood there before stays until the new file is complete. Returns the path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")  # git ignores what a kill leaves: `.*.new`
    try:
        with beside.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path


def only(folder: Path, files: Iterable[Path]) -> None:
    """Take away what lies in a folder beside these: what an earlier list or report had, and this one has not."""
    kept = set(files)
    for path in folder.iterdir():
        if path.is_file() and path not in kept and not path.name.startswith("."):  # a lock, or what is being written
            path.unlink(missing_ok=True)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with every column that any of them has; what a row lacks, or is not a number, is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value != value else value for name, value in row.items()} for row in rows)
    return text.getvalue()


@contextmanager
def alone_at(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds a file's lock: one process at a time is inside, and the system lets go of it when that is killed.

    waiting: called once where another one holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def path_of(error: BaseException, folder: Path) -> Path:
    """What an error names: of a copy and of a rename the second path, the new one; the folder where it names none."""
    return Path(str(getattr(error, "filename2", None) or getattr(error, "filename", None) or folder))


@contextmanager
def disk_told(folder: Path) -> Iterator[None]:
    """What the disk does not allow, to a file or to a database on it, comes out as Fault; no other error does.

    folder: named where the error names no file.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, OSError) and error.errno not in DISK:
            raise
        where, said = short(str(path_of(error, folder)), 200), getattr(error, "strerror", None) or error
        raise Fault(f"{where}: cannot be read or written ({said}). Is the disk full, or read-only?") from error


def room_for(files: Iterable[Path], folder: Path) -> None:
    """Raises Fault when the disk of a folder has no room for copies of these files."""
    needed, free = sum(file.stat().st_size for file in files), shutil.disk_usage(folder).free
    if free < needed:
        raise Fault(
            f"{folder}: {needed / 1e9:.1f} GB are needed for copies of the files, {free / 1e9:.1f} GB are free. "
            "Make room there first."
        )


def free(path: Path) -> Path:
    """The path, its name cut to what a disk takes, or with a number at its end where something lies there already.

    Its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = path.stem.encode()[:LONGEST].decode(errors="ignore") or "_"
    path = path.with_name(stem + path.suffix[:16])
    if not path.exists():
        return path
    taken = {each.name for each in os.scandir(path.parent) if each.name.startswith(stem)}
    return path.with_name(next(name for n in count(2) if (name := f"{stem}-{n}{path.suffix}") not in taken))


def linked(source: Path, target: Path) -> None:
    """The same file in another place: linked where the disk can, else copied. Neither is written to afterwards."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)
