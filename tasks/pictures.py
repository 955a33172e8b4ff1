"""Which pictures and videos are meant: files, folders and globs, as a person gives them."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from models.runtime.faults import Fault, short
from models.runtime.images import SUFFIXES
from tasks.data.formats.names import readable
from tasks.data.video import SUFFIXES as VIDEOS

OWN = ".sightline-parts"  # what a prediction that writes there has drawn so far is nobody's input


def expand(given: Sequence[str]) -> tuple[list[Path], list[dict[str, str]]]:
    """The pictures and videos that files, folders and globs mean, each once, and rows on what is none of these."""
    found: dict[Path, None] = {}
    rejected: list[dict[str, str]] = []
    for entry in given:
        try:
            found |= dict.fromkeys(_meant(entry, rejected))
        except Fault as fault:
            rejected.append({"path": readable(entry) or "''", "reason": str(fault)})
        except OSError as error:
            rejected.append({"path": short(readable(entry)), "reason": error.strerror or str(error)})
    for path in [path for path in found if not writable(path)]:
        del found[path]
        rejected.append({"path": readable(str(path)), "reason": "its name is not UTF-8: rename it"})
    return list(found), rejected


def _meant(entry: str, rejected: list[dict[str, str]]) -> list[Path]:
    """The pictures that one of those given means. Raises Fault with the reason when it means none.

    rejected: gets what has a picture's name in a folder and is no file.
    """
    if not entry:
        raise Fault("an empty path")
    path = Path(os.path.expanduser(entry))  # noqa: PTH111 - of Path it raises where there is no such user
    if path.is_file():
        return [path]
    if path.is_dir():
        every = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES | VIDEOS and OWN not in p.parts)
        inside = []
        for found in sorted(every):
            if found.is_file():
                inside.append(found)
            elif not found.is_dir() and (found.is_symlink() or found.exists()):  # else it was deleted meanwhile
                rejected.append({"path": readable(str(found)), "reason": _instead(found)})
        if not inside:
            raise Fault(f"no picture in this folder ({', '.join(sorted(SUFFIXES))}), and no video")
        return inside
    if path.exists() or path.is_symlink():
        raise Fault(_instead(path))
    matched = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())  # noqa: PTH207
    if not matched:
        raise Fault("no such file or folder, and no file matches it")
    return matched


def _instead(path: Path) -> str:
    """What a path is that is there and no file."""
    if path.exists():  # to open a pipe would be to wait for who writes into it
        return "a pipe, a socket or a device, and no file"
    return f"a link to what is not there ({readable(str(path.readlink()))})"


def writable(path: Path) -> bool:
    """Whether a file's name can be written into the answers."""
    return readable(str(path)) == str(path)
