"""What a YOLO source says beside its labels: the names of its classes and where each split is."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.runtime.faults import Fault, short
from models.runtime.images import SUFFIXES
from tasks.data.formats.files import OUTSIDE, Files, Missing
from tasks.data.formats.names import SPLIT_WORDS, split_of_file, split_of_folder, split_of_path
from tasks.data.formats.source import Rejected
from tasks.parsed import parsed

NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels")


@dataclass(slots=True)
class Setup:
    """names: by class number, empty when the source has none.  said: by picture, the splits it is put in.

    named: all splits that there are files or folders for.  pose: rows carry keypoints behind their box.
    listed: the splits are from lists, not from names of folders.  seen: what it was read from.
    """

    names: list[str] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    named: set[str] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    pose: bool = False
    listed: bool = False


def setup_of(files: Files) -> Setup:
    """The setup of a source: `data.yaml`, else `obj.data`, else `obj.names` or `classes.txt` and split lists.

    Raises Fault when there are several that differ.
    """
    setup = Setup()
    tables = data_files(files, read=True)
    if tables:
        _from_yaml(files, tables, setup)
    elif not files.only:
        _from_darknet(files, setup)
    if not setup.names:
        _from_name_files(files, setup)
    setup.listed = bool(setup.said)
    if not setup.named:
        setup.said.update({path: [split] for path in files.pictures if (split := split_of_path(path))})
        setup.named = {split for splits in setup.said.values() for split in splits}
        setup.named |= {split for path in files.folders if (split := split_of_folder(posixpath.basename(path)))}
    return setup


def data_files(files: Files, read: bool = False) -> dict[str, dict[str, Any]]:
    """The YAML files that have `names`, or `nc` and a split. One that cannot be parsed is none.

    read: the source is read as YOLO. Then one that says `names` and cannot be parsed raises Fault: without it the
    concepts would be numbers.
    """
    found = {}
    for path in files.ending(".yaml", ".yml"):
        content = (files.root / path).read_bytes()
        try:
            table = parsed(content)
        except ValueError as error:
            if files.only or (read and b"names" in content):
                raise Fault(f"{files.root / path}: not YAML ({error})") from None
            continue
        if isinstance(table, dict) and (
            "names" in table or ("nc" in table and not table.keys().isdisjoint(SPLIT_WORDS))
        ):
            found[path] = table
    return found


def _from_yaml(files: Files, tables: Mapping[str, dict[str, Any]], setup: Setup) -> None:
    path, table = next(iter(tables.items()))
    if len(tables) > 1:
        raise Fault(
            f"{files.root}: {', '.join(tables)} each describe a YOLO set. Keep one, or give that file as the source"
        )
    setup.seen.append(path)
    setup.names = _names(files, path, table.get("names"))
    setup.pose = "kpt_shape" in table
    for word, split in SPLIT_WORDS.items():
        values = table.get(word)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and value.strip():
                _take(files, path, table, word, value.strip(), split, setup)


def _names(files: Files, path: str, said: object) -> list[str]:
    """Names by number. YAML reads `no`, `on` and `1.10` as something else than these letters, so they are refused."""
    pairs = said.items() if isinstance(said, dict) else enumerate(said if isinstance(said, list) else [])
    table = {int(n) if isinstance(n, str) and n.isdecimal() else n: name for n, name in pairs}
    odd = [name for name in table.values() if isinstance(name, bool) or not isinstance(name, str | int)]
    numbers = [number for number in table if not isinstance(number, int) or not 0 <= number < 100_000]
    if odd or numbers:
        given = f"the name {short(odd[0])}" if odd else f"the class number {short(numbers[0])}"
        raise Fault(f"{files.root / path}: names holds {given}. Quote names, and number them from 0")
    return [str(table.get(number, "")) for number in range(max(table, default=-1) + 1)]


def _take(files: Files, path: str, table: Mapping[str, Any], word: str, value: str, split: str, setup: Setup) -> None:
    """One entry of data.yaml: a folder of pictures, or a list of them."""
    bases = [posixpath.dirname(path), ""]
    if isinstance(table.get("path"), str):
        bases = [posixpath.join(base, table["path"]) for base in bases] + bases
    # Exports name `../train/images` for a folder that lies beside data.yaml.
    texts = [value.removeprefix(f"{files.root}/"), re.sub(r"^(\.\./)+", "", value)]
    places = [posixpath.normpath(posixpath.join(base, text)) for text in texts for base in bases]
    places = [place for place in places if not place.startswith(("..", "/"))]
    folder = next((place for place in places if place in files.folders), None)
    listed = next((place for place in places if place in files.paths), None)
    if folder:
        setup.named.add(split)
        for picture in files.pictures:
            if picture.startswith(f"{folder}/"):
                setup.said[picture].append(split)
    elif listed:
        _take_list(files, listed, split, setup)
    elif not places:
        setup.rejected.append(Rejected(path, f"{path}:{word}", "annotation", f"{OUTSIDE}: {short(value)!r}"))
    else:
        setup.seen.append(f"{word} ({short(value)}) is not there")


def _take_list(files: Files, path: str, split: str, setup: Setup) -> None:
    setup.named.add(split)
    setup.seen.append(path)
    lines = _lines(files, path)
    found = files.find([text for _, text in lines], (posixpath.dirname(path), ""), strip=True)
    for (number, text), name in zip(lines, found, strict=True):
        if isinstance(name, Missing):
            setup.rejected.append(Rejected(name.path or text, f"{path}:{number}", "image", str(name)))
        else:
            setup.said[name].append(split)


def _from_darknet(files: Files, setup: Setup) -> None:
    """Lists that obj.data names, or that are called after splits."""
    lists: dict[str, str] = {}
    for path in (path for path in files.paths if path.endswith(".data")):
        setup.seen.append(path)
        for _, line in _lines(files, path):
            word, _, value = (part.strip() for part in line.partition("="))
            near = [name for name in files.paths if posixpath.basename(name) == posixpath.basename(value)]
            if word == "names" and len(near) == 1:
                setup.names = _read_names(files, near[0])
                setup.seen.append(near[0])
            elif word in SPLIT_WORDS and len(near) == 1:
                lists[near[0]] = SPLIT_WORDS[word]
    for path in files.ending(".txt"):
        split = split_of_file(posixpath.splitext(posixpath.basename(path))[0])
        if split and path not in lists and is_list(files, path):
            lists[path] = split
    for path, split in lists.items():
        _take_list(files, path, split, setup)


def _from_name_files(files: Files, setup: Setup) -> None:
    paths = [path for path in files.paths if posixpath.basename(path) in NAME_FILES]
    tables = {path: _read_names(files, path) for path in paths}
    if len({tuple(names) for names in tables.values()}) > 1:
        raise Fault(f"{files.root}: {', '.join(tables)} name the classes differently. Keep one of them")
    if tables:
        setup.names = next(iter(tables.values()))
        setup.seen.append(paths[0])


def _read_names(files: Files, path: str) -> list[str]:
    lines = (files.root / path).read_text(encoding="utf-8-sig", errors="replace").split("\n")
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    return names


def is_list(files: Files, path: str) -> bool:
    """Whether a text file's first line is the path of a picture."""
    with (files.root / path).open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line.strip() for line in file if line.strip()), "")
    return posixpath.splitext(first)[1].lower() in SUFFIXES


def _lines(files: Files, path: str) -> Iterable[tuple[int, str]]:
    text = (files.root / path).read_text(encoding="utf-8-sig", errors="replace")
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
