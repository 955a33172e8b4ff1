"""What is answered for: files, folders, globs, lists, addresses and videos, as parts that a task each takes."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault, short
from tasks.data.dataset import named_dataset
from tasks.data.urls import fetch, host_of, is_url
from tasks.data.video import SUFFIXES as VIDEOS
from tasks.data.video import frames
from tasks.files import LONGEST
from tasks.pictures import expand

SHARD = 512  # pictures a Prefect task: a row in the UI for each, and no more than that is done twice
BATCH = 16  # pictures that are in memory at once,
PIXELS = 64_000_000  # or fewer, of drones' and scanners'
PAUSES = (1, 5)  # seconds until an address that could not be reached is asked again
UNSAFE = re.compile(r"[/\\\x00-\x1f]|^\.+")  # in a file's name
TOLD = 5  # of what was given and means no picture, in a Fault


class Inputs(BaseModel):
    """What a person asks to be answered for.

    paths: files, folders, globs, videos and http(s) addresses.  list: a file with one of these a line.
    dataset, split: pictures of a dataset instead.  allow: hosts that addresses may name.
    fps, every: which frames of a video: at most so many a second, or each N-th; neither: all.
    """

    model_config = ConfigDict(frozen=True)

    paths: tuple[str, ...] = ()
    list: str = ""
    dataset: str = ""
    split: str = ""
    allow: tuple[str, ...] = ()
    fps: float | None = None
    every: int = 1

    def with_(self, paths: Sequence[str]) -> Inputs:
        """These, and more paths before its own."""
        return self.model_copy(update={"paths": (*paths, *self.paths)})


class Part(BaseModel):
    """Inputs that one task answers for: pictures, or one video.

    at: the place of the first among all.
    """

    model_config = ConfigDict(frozen=True)

    at: int
    paths: tuple[str, ...]
    video: bool = False

    @property
    def digest(self) -> str:
        """Of the paths, and of the files' sizes and times."""
        told = hashlib.sha256()
        for path in self.paths:
            try:
                stat = os.stat(path)  # noqa: PTH116 - of a million paths
                facts = f"{stat.st_size} {stat.st_mtime_ns}"
            except (OSError, ValueError):
                facts = ""
            told.update(f"{path}\n{facts}\n".encode(errors="surrogateescape"))
        return told.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Seen:
    """A decoded picture or frame.

    path: as it was given.  image: RGB.  number, time_ms: of a video's frame.
    """

    path: str
    image: Image.Image
    number: int | None = None
    time_ms: float | None = None

    def where(self) -> dict[str, Any]:
        """Its columns in every answer: image, width, height, and of a frame its number and time in ms."""
        frame = {} if self.number is None else {"frame": self.number, "time_ms": self.time_ms}
        return {"image": self.path, "width": self.image.width, "height": self.image.height, **frame}

    def named(self, ending: str, above: str = "") -> Path:
        """What a file made of it is called: its own name, a frame's number, the ending; in a folder `above`."""
        above = above.encode()[:LONGEST].decode(errors="ignore")
        frame = "" if self.number is None else f"-{self.number:06d}"
        stem = Path(self.path.partition("?")[0] if is_url(self.path) else self.path).stem
        return Path(UNSAFE.sub("_", above)) / f"{UNSAFE.sub('_', stem)}{frame}{ending}"


def parts(given: Inputs) -> tuple[list[Part], list[dict[str, str]]]:
    """The parts there are, and rows (path, reason) on what is no input. Raises Fault when there is not one."""
    paths, rejected = _found(given)
    if not paths:
        said = [f"{row['path']}: {row['reason']}" for row in rejected[:TOLD]] or ["what was given is empty"]
        more = [f"and {len(rejected) - TOLD} more"] if len(rejected) > TOLD else []
        raise Fault(f"there is no picture to predict on. {'; '.join(said + more)}")
    found: list[Part] = []
    run: list[str] = []
    for at, path in enumerate([*paths, None]):
        video = path is not None and is_video(path)
        if run and (path is None or video or len(run) == SHARD):
            found.append(Part(at=at - len(run), paths=tuple(run)))
            run = []
        if video:
            found.append(Part(at=at, paths=(str(path),), video=True))
        elif path is not None:
            run.append(path)
    return found, rejected


def is_video(path: str) -> bool:
    """By its name's end."""
    return Path(path).suffix.lower() in VIDEOS and not is_url(path)


def _found(given: Inputs) -> tuple[list[str], list[dict[str, str]]]:
    if given.dataset:
        opened = named_dataset(given.dataset)
        kept = opened.split(given.split) if given.split else opened.annotations
        return [str(opened.path(entry)) for entry in kept], []
    entries = [*given.paths, *_listed(given.list)]
    addresses = [entry for entry in entries if is_url(entry)]
    for address in addresses:
        if not given.allow:
            raise Fault(f"{short(address)}: nothing is fetched until you allow it: --allow-host {host_of(address)}")
    files, rejected = expand([entry for entry in entries if not is_url(entry)])
    return [*map(str, files), *dict.fromkeys(addresses)], rejected


def _listed(file: str) -> list[str]:
    if not file:
        return []
    try:
        if not Path(file).is_file():  # a pipe would be waited for
            raise OSError("it is no file")
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{short(file)}: no list of paths can be read from it ({error})") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def seen(part: Part, given: Inputs, read: Callable[..., Image.Image], rejected: list[dict[str, str]]) -> Iterator[Seen]:
    """Each picture or frame of a part, decoded; what cannot be read becomes a row (path, reason) of `rejected`."""
    for path in part.paths:
        try:
            if part.video:
                words: list[str] = []
                yield from (
                    Seen(path, frame.image, frame.number, frame.time_ms)
                    for frame in frames(Path(path), given.fps, given.every, words.append)
                )
                rejected += [{"path": path, "reason": reason.removeprefix(f"{path}: ")} for reason in words]
            elif is_url(path):
                yield Seen(path, read(_fetched(path, given.allow), path))
            else:
                yield Seen(path, read(Path(path)))
        except Exception as error:
            if type(error).__name__ != Fault.__name__:  # a version's own code has its own
                raise
            rejected.append({"path": path, "reason": str(error).removeprefix(f"{path}: ")})


def _fetched(address: str, allow: Sequence[str]) -> bytes:
    """What lies there; asked again where the network, not the address, is at fault."""
    for pause in PAUSES:
        try:
            return fetch(address, allow)
        except Fault as fault:
            if not isinstance(fault.__cause__, OSError):
                raise
            time.sleep(pause)
    return fetch(address, allow)


def batches(pictures: Iterator[Seen]) -> Iterator[Sequence[Seen]]:
    """BATCH at a time, fewer where they are so large that PIXELS would be passed."""
    batch: list[Seen] = []
    pixels = 0
    for picture in pictures:
        size = picture.image.width * picture.image.height
        if batch and (len(batch) == BATCH or pixels + size > PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(picture)
        pixels += size
    if batch:
        yield batch
