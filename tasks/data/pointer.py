"""`data.dvc`: the pointer to all of `data/` that git holds, read and written without importing DVC.

Beside what DVC writes itself it carries a `meta` (which DVC keeps as it is) that names each dataset's own
version, so that `git log -p data.dvc` says which dataset changed, and so that a fresh clone, where nothing
but this file is known, can name what it lacks:

    outs:
    - md5: 7d1f….dir          the data version
      size: 3021334
      nfiles: 2301
      hash: md5
      path: data
    meta:
      data_version: 7d1f….dir  of which `datasets` was written; a `dvc add data` by hand leaves it behind
      datasets:
        digits: 93ab….dir
        roofs: c01e….dir
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from models.runtime.faults import Fault, short
from tasks.parsed import parsed
from tasks.workspace import root

NAME = "data.dvc"
BACK = f"`git checkout {NAME}` brings the last good one back."


@dataclass(frozen=True, slots=True)
class Pointer:
    """What data.dvc says.

    data_version: `<md5>.dir`, empty when there is no data.dvc yet.  datasets: each one's version; None when
    they were written for another data version.  document: the whole file, other people's keys included.
    """

    data_version: str = ""
    datasets: dict[str, str] | None = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)

    def moved(self, data_version: str, datasets: dict[str, str], files: int, size: int | None) -> Pointer:
        """The pointer to another data version; every other key stays as it was.

        size: bytes of all files, None when some of them are not on this machine.
        """
        out = {"md5": data_version, "size": size, "nfiles": files, "hash": "md5", "path": "data"}
        kept = {key: value for key, value in _out(self.document).items() if key not in out}
        named = dict(sorted(datasets.items()))
        other = self.document.get("meta")
        meta = {**(other if isinstance(other, dict) else {}), "data_version": data_version, "datasets": named}
        outs = [{key: value for key, value in out.items() if value is not None} | kept]
        return Pointer(data_version, named, {**self.document, "outs": outs, "meta": meta})

    def text(self) -> str:
        """The file's text, in the form in which DVC writes it."""
        return yaml.safe_dump(self.document, sort_keys=False, allow_unicode=True)


def path() -> Path:
    """Where data.dvc lies."""
    return root() / NAME


def read_pointer() -> Pointer:
    """What data.dvc says now; an empty pointer when there is none. Raises Fault when it is not ours to read."""
    if path().exists() and not path().is_file():  # of a pipe the end may never come
        raise Fault(f"{path()}: cannot be read (not a regular file). {BACK}")
    try:
        text = path().read_text(encoding="utf-8")
    except FileNotFoundError:
        return Pointer()
    except (OSError, UnicodeDecodeError) as error:
        said = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise Fault(f"{path()}: cannot be read ({said}). {BACK}") from None
    return parse_pointer(text, str(path()))


def parse_pointer(text: str, where: str = NAME) -> Pointer:
    """What a data.dvc of that text says. Raises Fault when it is no pointer to `data`."""
    try:
        document = parsed(text)
    except ValueError as error:
        raise Fault(f"{where}: not YAML ({error}). Is a git merge unfinished? {BACK}") from None
    out = _out(document)
    version = out.get("md5")
    if out.get("path") != "data" or not _is_version(version):
        raise Fault(f"{where}: must point to the one folder `data` (outs: one entry with md5 and path: data). {BACK}")
    meta = document.get("meta") or {}
    named = meta.get("datasets") if isinstance(meta, dict) and meta.get("data_version") == version else None
    for name, digest in named.items() if isinstance(named, dict) else ():
        if not isinstance(name, str) or not _is_version(digest):
            raise Fault(
                f"{where}: meta: datasets: {short(name)}: {short(digest)} is no dataset with its version (name: "
                f"<md5>.dir, names quoted where they look like numbers). {BACK}"
            )
    return Pointer(version, dict(named) if isinstance(named, dict) else None, document)


def _is_version(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}\.dir", value) is not None


@contextmanager
def prepared(pointer: Pointer) -> Iterator[Path]:
    """What is to be data.dvc beside it, safe on disk: a rename makes it that; else nothing is left of it."""
    beside = path().with_name(f".{NAME}.new")  # one name: the ingests' lock lets one at a time write it
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(pointer.text())
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def pointers_in_git() -> Iterator[Pointer]:
    """What data.dvc said in each commit of the current branch that changed it, the latest first."""
    for commit in _git("log", "--format=%H", "--", NAME).split():
        try:
            yield parse_pointer(_git("show", f"{commit}:./{NAME}"))
        except Fault:
            continue  # a commit in which the file was removed, or something else of that name


def _git(*arguments: str) -> str:
    """Git's answer about the root; empty where there is no git or no repository."""
    try:
        command = ["git", "-C", str(root()), *arguments]
        said = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        return said.stdout
    except OSError:
        return ""


def _out(document: Any) -> dict[str, Any]:
    outs = document.get("outs") if isinstance(document, dict) else None
    return outs[0] if isinstance(outs, list) and len(outs) == 1 and isinstance(outs[0], dict) else {}
