"""The files of a source, walked once. Readers only ever name files from this table, so none can leave the source."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from models.runtime.faults import Fault, listed, short
from models.runtime.images import SUFFIXES
from tasks.data.formats.source import Rejected

OUTSIDE = "lies outside the source folder"
DEEPEST, LONGEST_PATH = 100, 2000  # the system's own limit is 4,096 bytes, and a copy's path has more before it
LONGEST = 200  # characters of a path in a row: some say a whole text where a path should be


class Missing(Exception):
    """An annotation names no picture of the source; says why. path: where it would be, or empty."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True)
class Files:
    """A source on disk.

    root: its folder, resolved.  paths: all files below it, with `/`, sorted, hidden ones left out.
    folders: all folders below it, empty ones too.  only: the one annotation file, where the source is a file.
    refused: links that lead out and names that cannot be used, each a row of rejected.csv.
    """

    root: Path
    paths: tuple[str, ...]
    folders: tuple[str, ...]
    refused: tuple[Rejected, ...] = ()
    only: str = ""

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """Files with an image's suffix, sorted."""
        return tuple(path for path in self.paths if posixpath.splitext(path)[1].lower() in SUFFIXES)

    @cached_property
    def counts(self) -> str:
        """What is there: `364 .jpg, 2 .txt`."""
        suffixes = Counter(posixpath.splitext(path)[1].lower() or "without a suffix" for path in self.paths)
        return ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(8)) or "nothing"

    def ending(self, *suffixes: str) -> list[str]:
        """Annotation files with one of these (lower-case) suffixes: the source itself where it is a file."""
        paths = [self.only] if self.only else self.paths
        return [path for path in paths if posixpath.splitext(path)[1].lower() in suffixes]

    def find(self, said: Sequence[str], bases: Iterable[str] = ("",), strip: bool = False) -> list[str | Missing]:
        """The pictures that the paths in an annotation file name, one for each path, or why there is none.

        All paths of a file count from one folder: from that of `bases` where most of them lead to a picture
        (whatever the case and the Unicode form), the first of equals. `strip`: their own first folders may be
        those above the source, or gone. If nothing is found so, a path means the one picture that it is the end of.
        No path that leaves the source is followed.
        """
        # Space around a path is dust, but for the rare file whose name has it.
        spaced = (text if fold(posixpath.basename(text)) in self._named else text.strip() for text in said)
        texts = [self._relative(text) for text in spaced]
        sample = [text for text in texts[:: len(texts) // 500 + 1] if isinstance(text, str)]
        ways = [(0, base) for base in dict.fromkeys(bases)]
        if strip:
            ways += [(skip, base) for skip in (1, 2, 3, 4) for base in bases if _distinct(sample, skip)]
        hits = {way: sum(self._at(_path(text, *way)) is not None for text in sample) for way in ways}
        best = max(ways, key=lambda way: hits[way])
        return [text if isinstance(text, Missing) else self._found(text, best, hits[best] == 0) for text in texts]

    def _relative(self, said: str) -> str | Missing:
        said = said if said in self._pictures else said.replace("\\", "/")
        if not said or "\0" in said:
            return Missing("names no picture")
        said = said.removeprefix(f"{self.root}/") if self.root != Path("/") else said
        return Missing(f"{OUTSIDE}: {short(said)!r}") if re.match(r"/|[A-Za-z]:/", said) else said

    def _found(self, text: str, way: tuple[int, str], deeper: bool) -> str | Missing:
        path = _path(text, *way)
        if path.startswith("../"):
            return Missing(f"{OUTSIDE}: {short(text)!r}")
        exact = self._at(path)
        if exact or not deeper:
            return exact or self._missing(path)
        ends = fold("/" + posixpath.normpath(text))
        found = [name for name in self._named.get(posixpath.basename(ends), []) if fold(name).endswith(ends)]
        if len(found) > 1:
            return Missing(f"ambiguous: {short(text)!r} could be any of {listed(found, 5)}", path)
        return found[0] if found else self._missing(path)

    def _missing(self, path: str) -> Missing:
        refused = next((row.reason for row in self.refused if row.path == path), None)
        there = (
            "not an image: it has no image format's suffix" if path in self._paths else "missing: there is no such file"
        )
        return Missing(refused or there, short(path, LONGEST))

    def _at(self, path: str) -> str | None:
        if path in self._pictures:
            return path
        found = self._folded.get(fold(path), [])
        return found[0] if len(found) == 1 else None

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(self.paths)

    @cached_property
    def _pictures(self) -> frozenset[str]:
        return frozenset(self.pictures)

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        table = defaultdict(list)
        for path in self.pictures:
            table[fold(path)].append(path)
        return dict(table)

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        table = defaultdict(list)
        for path in self.pictures:
            table[fold(posixpath.basename(path))].append(path)
        return dict(table)


def _path(text: str, skip: int, base: str) -> str:
    """Where a path leads from a folder, without its first `skip` parts; begins with `../` when outside."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    path = posixpath.normpath(posixpath.join(base, *parts[skip if len(parts) > skip else 0 :]))
    return "../" if path in ("..", ".") else path


def _distinct(texts: Sequence[str], skip: int) -> bool:
    return len({_path(text, skip, "") for text in texts}) == len(set(texts))


def fold(path: str) -> str:
    """A path as two machines agree on it, whatever they do to case and to composed letters."""
    return unicodedata.normalize("NFC", path).casefold()


def walk(source: Path) -> Files:
    """The files of a source: a folder, or one annotation file beside or above its pictures.

    Hidden files and what other systems leave behind (`__MACOSX`, `Thumbs.db`, `desktop.ini`) are no files of it.
    Raises Fault when it is not there, cannot be read or is empty.
    """
    root = source.resolve()
    if not root.exists():
        raise Fault(f"{source}: there is no such folder")
    if not root.is_dir() and not root.is_file():
        raise Fault(f"{source}: neither a folder nor a regular file")
    only = "" if root.is_dir() else root.name
    root = root if root.is_dir() else root.parent
    paths: list[str] = []
    folders: list[str] = []
    refused: list[Rejected] = []
    try:
        _walk(root, "", paths, folders, refused)
    except OSError as error:
        raise Fault(f"{source}: cannot be read ({error.strerror})") from None
    if not paths and not refused:
        raise Fault(f"{source}: there is no file in it")
    return Files(root, tuple(sorted(paths)), tuple(sorted(folders)), tuple(refused), only)


def _walk(root: Path, folder: str, paths: list[str], folders: list[str], refused: list[Rejected]) -> None:
    with os.scandir(root / folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.name.startswith(".") or entry.name in ("__MACOSX", "Thumbs.db", "desktop.ini"):
            continue
        path = f"{folder}{entry.name}"
        reason = _unusable(root, entry) or _too_long(path)
        if reason:
            lost = _below(root, path) if entry.is_dir(follow_symlinks=False) else []
            refused += [Rejected(each, "", "image", reason) for each in lost or [path]]
        elif entry.is_dir():
            folders.append(path)
            try:
                _walk(root, f"{path}/", paths, folders, refused)
            except OSError as error:
                refused.append(Rejected(path, "", "image", f"the folder cannot be read ({error.strerror})"))
        else:
            paths.append(path)


def _below(root: Path, folder: str) -> list[str]:
    """The pictures in a folder that is left out: each of them counts. One by one, however deep it goes."""
    found, waiting = [], [folder]
    while waiting:
        at = waiting.pop()
        try:
            with os.scandir(root / at) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{at}/{entry.name}")
                    elif posixpath.splitext(entry.name)[1].lower() in SUFFIXES:
                        found.append(f"{at}/{entry.name}")
        except OSError:  # not to be looked into, or a path that no system takes
            found.append(at)
    return sorted(found)


def _too_long(path: str) -> str:
    deep = path.count("/") > DEEPEST or len(os.fsencode(path)) > LONGEST_PATH
    return f"its path is too long (more than {DEEPEST} folders or {LONGEST_PATH} bytes)" if deep else ""


def _unusable(root: Path, entry: os.DirEntry[str]) -> str:
    """Why a file or folder is left out; empty when it is not."""
    if any(unicodedata.category(letter) == "Cs" for letter in entry.name):
        return "its name is not UTF-8"
    if any(unicodedata.category(letter) == "Cc" for letter in entry.name):
        return "its name has a control character in it"
    if entry.is_symlink():
        if not Path(entry.path).exists():
            return "a link to nothing"
        if not Path(entry.path).resolve().is_relative_to(root):
            return f"a link that {OUTSIDE.replace('lies', 'leads')}"
        if entry.is_dir():
            return "a link to a folder of the source; its pictures are taken from there"
    return "" if entry.is_file() or entry.is_dir() else "not a regular file"
