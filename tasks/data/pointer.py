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
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from models.runtime.faults import Fault
from tasks.workspace import root

NAME = "data.dvc"


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
        meta = {**(self.document.get("meta") or {}), "data_version": data_version, "datasets": named}
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
    try:
        return parse_pointer(path().read_text(encoding="utf-8"), str(path()))
    except FileNotFoundError:
        return Pointer()


def parse_pointer(text: str, where: str = NAME) -> Pointer:
    """What a data.dvc of that text says. Raises Fault when it is no pointer to `data`."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Fault(f"{where}: not YAML ({' '.join(str(error).split())}). Is a git merge unfinished?") from None
    out = _out(document)
    version = out.get("md5")
    if out.get("path") != "data" or not isinstance(version, str) or not version.endswith(".dir"):
        raise Fault(
            f"{where}: must point to the one folder `data` (outs: one entry with md5 and path: data). "
            "`git checkout data.dvc` brings the last good one back."
        )
    meta = document.get("meta") or {}
    valid = isinstance(meta, dict) and meta.get("data_version") == version
    named = meta.get("datasets") if valid else None
    return Pointer(version, dict(named) if isinstance(named, dict) else None, document)


def prepare(pointer: Pointer) -> Path:
    """Write what is to be data.dvc beside it, safe on disk: a rename makes it that."""
    beside = path().with_name(f".{NAME}.new")  # one name: the ingests' lock lets one at a time write it
    with beside.open("w", encoding="utf-8") as file:
        file.write(pointer.text())
        file.flush()
        os.fsync(file.fileno())
    return beside


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
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _out(document: Any) -> dict[str, Any]:
    outs = document.get("outs") if isinstance(document, dict) else None
    return outs[0] if isinstance(outs, list) and len(outs) == 1 and isinstance(outs[0], dict) else {}
