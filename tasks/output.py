"""The folder that answers are written into: one run's alone, and gone on with where that was cut off."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from models.runtime.faults import Fault, short
from tasks.data.formats.names import readable
from tasks.files import alone_at, write
from tasks.pictures import OWN
from tasks.workspace import root

PARTS = OWN  # a name that nobody else has: what lies in it is taken away
LOCK = "lock"
RUN = "run"  # in the parts: the digest of what is being answered
RESULTS = (
    "predictions.parquet",
    "workflow.json",
    "rejected.csv",
    "drawn",
    "acts",
)  # beside predictions.jsonl, which comes last
ROOM = 1_000_000  # bytes that are free where answers are written, or it is not begun


@contextmanager
def output_folder(slug: str, run: str, given: str) -> Iterator[Path]:
    """The folder asked for, or one under `predictions/`: this run's alone until it is done.

    slug: what a new one is called.  run: digest of what is answered; a folder in which the same was cut off is gone
    on with, and what another one left there is taken away.
    Raises Fault when it holds predictions already, when another one is writing there, and when nothing can be.
    """
    begun = Path(given) if given else _cut_off(run)
    folder = begun or root() / "predictions" / f"{slug}-{datetime.now():%Y%m%d-%H%M%S}"
    with ExitStack() as held:
        with writing(folder):
            folder = begun or _new_folder(folder)
            _check_free(folder)
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone_at(folder / PARTS / LOCK, lambda: _busy(folder)))
            _check_free(folder)  # the one before may just have become done
            _clear(folder, run)
            if shutil.disk_usage(folder).free < ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(folder / PARTS / RUN, run)
        yield folder


def _cut_off(run: str) -> Path | None:
    """The newest folder in which the same was begun and not ended, if nobody is at work there."""
    begun = (root() / "predictions").glob(f"*/{PARTS}/{RUN}")
    found = []
    for path in begun:
        with suppress(FileNotFoundError):  # that run has just ended
            if path.read_text(encoding="utf-8", errors="replace") == run and not _held(path.with_name(LOCK)):
                found.append((path.stat().st_mtime, path.parents[1]))
    return max(found)[1] if found else None


def _held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with alone_at(lock, _taken):
            return False
    except InterruptedError:
        return True


def _taken() -> None:
    raise InterruptedError


def _clear(folder: Path, run: str) -> None:
    """Take away the results of what was cut off here, and the parts of what was not the same."""
    for left in _results(folder):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    begun = folder / PARTS / RUN
    if begun.is_file() and begun.read_text(encoding="utf-8", errors="replace") == run:
        return
    for left in (folder / PARTS).iterdir():
        if left.name != LOCK:
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _check_free(folder: Path) -> None:
    if readable(str(folder)) != str(folder):
        raise Fault(f"{short(readable(str(folder)))}: its name is not UTF-8. Name another --output.")
    if (folder / PARTS).is_symlink():  # what it leads to is not ours to take away
        raise Fault(f"{folder / PARTS}: a link. Remove it, or name another --output.")
    if (folder / "predictions.jsonl").exists():
        raise Fault(f"{folder}: holds predictions already. Name another folder, or remove it.")
    taken = [path.name for path in _results(folder)]
    if taken and not (folder / PARTS).exists():  # beside parts they are an interrupted prediction's, as the parts are
        raise Fault(f"{folder}: holds {', '.join(taken)} already. Name another folder, or move it away.")


def _results(folder: Path) -> list[Path]:
    return [folder / name for name in RESULTS if (folder / name).exists()]


def _busy(folder: Path) -> None:
    raise Fault(f"{folder}: another prediction is writing there. Name another folder, or wait until it is done.")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system says against writing there, as a Fault; not what another machine does, which may pass."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        why = error.strerror or error
        raise Fault(f"{short(str(folder))}: answers cannot be written there ({why}). Name another --output.") from None


def _new_folder(wanted: Path) -> Path:
    wanted.parent.mkdir(parents=True, exist_ok=True)
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number}") for number in count(1))
    while True:
        folder = next(names)
        with suppress(FileExistsError):  # another prediction of this second
            folder.mkdir()
            return folder
