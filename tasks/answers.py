"""A registered version's answers: loaded with its own code, asked batch by batch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from traceback import extract_tb

from PIL import Image
from prefect.exceptions import TerminationSignal

from models.runtime.faults import Fault
from models.runtime.predictions import Answer, Regions, ours
from models.runtime.predictor import Predictor
from tasks.artifacts import files_of
from tasks.pyfunc import load
from tasks.registry import Version

BATCH = 16


def predictor(version: Version) -> Predictor:
    """The version, ready to answer with the code it was registered with; the last one asked for is kept."""
    with files_of(version) as folder:
        return _loaded(folder, str(version))


@lru_cache(maxsize=1)  # a prediction on a million pictures is two thousand shards, each in a task of its own
def _loaded(folder: Path, version: str) -> Predictor:
    with in_our_words(version):
        return load(folder)


class Stopped(Fault):
    """A version's code, or an operator's, ended with what is no Fault: it may be done again."""


@contextmanager
def in_our_words(version: object) -> Iterator[None]:
    """What a version's own code raises, as the Fault that everybody here knows: its copy of Fault is another class.

    Whatever else it raises as well, and be it SystemExit: a command would end there as if it had done its work.
    """
    try:
        yield
    except (KeyboardInterrupt, TerminationSignal, Stopped):  # a person's, the system's, told already
        raise
    except BaseException as error:
        if _is_fault(error):
            raise Fault(str(error)) from None
        said = shorten(f"{type(error).__name__}: {error}", 300, placeholder=" …")
        at = extract_tb(error.__traceback__)[-1]
        raise Stopped(f"{version}: its own code stopped with {said} ({at.filename}:{at.lineno})") from error


def _is_fault(error: BaseException) -> bool:
    return type(error).__name__ == Fault.__name__


def answers(
    version: Version, pictures: Sequence[Path], what: str, rejected: list[dict[str, str]] | None = None
) -> Iterator[tuple[Path, Image.Image, Answer]]:
    """Path, decoded picture and answer, in order, under a progress bar where somebody watches.

    The version's own code decodes, too. A picture that cannot be decoded becomes a row (path, reason) of
    `rejected`; without it, a Fault.
    """
    from rich.console import Console
    from rich.progress import track

    ready = predictor(version)
    read = sys.modules[type(ready).__module__].read
    watched, screen = sys.stderr.isatty(), Console(stderr=True)
    starts = range(0, len(pictures), BATCH)
    for start in track(starts, what, console=screen, transient=True, disable=not watched):
        with in_our_words(version):
            batch = list(_decoded(pictures[start : start + BATCH], read, rejected))
            found = ready.predict([image for _, image in batch])
        yield from ((path, image, ours(answer)) for (path, image), answer in zip(batch, found, strict=True))


def _decoded(
    pictures: Sequence[Path], read: Callable[[Path], Image.Image], rejected: list[dict[str, str]] | None
) -> Iterator[tuple[Path, Image.Image]]:
    for path in pictures:
        try:
            image = read(path)
        except Exception as error:
            if rejected is None or not _is_fault(error):
                raise
            rejected.append({"path": str(path), "reason": str(error).removeprefix(f"{path}: ")})
        else:
            yield path, image


def at_least(answer: Answer, least: float) -> Answer:
    """Regions of that score or more. Of concepts all: a picture is drawn with the best, however unsure."""
    return answer[answer.scores >= least] if isinstance(answer, Regions) else answer
