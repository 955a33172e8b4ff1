"""Which picture a Pascal VOC file is about, and which split its lists put it in."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from models.runtime.faults import listed, short
from tasks.data.formats.files import OUTSIDE, Files, Missing, fold
from tasks.data.formats.names import split_of_folder, split_of_path
from tasks.data.formats.source import Rejected

# Folders that divide a set by kind of file: what is below them is at the same place in all of them.
KINDS = frozenset(
    {"annotations", "annotation", "xml", "xmls", "labels", "jpegimages", "images", "image", "imgs", "img"}
)
NOT_PHOTOS = frozenset({"SegmentationClass", "SegmentationObject"})  # masks, with the photos' own names


@dataclass(frozen=True)
class Layout:
    """The pictures of a source, by stem and by place (their folder without the parts that only tell the kind)."""

    stems: dict[str, list[str]]
    places: frozenset[str]

    @classmethod
    def of(cls, pictures: Iterable[str]) -> Layout:
        """The layout of these pictures."""
        stems = defaultdict(list)
        for path in pictures:
            stems[fold(stem(path))].append(path)
        return cls(dict(stems), frozenset(_place(path) for paths in stems.values() for path in paths))

    def picture(self, xml: str, filename: str) -> str:
        """The picture of an XML: the one with its stem, else the one its `<filename>` names.

        Looked for beside the XML, then at the same place among the pictures (`Annotations/a/1.xml` and
        `JPEGImages/a/1.jpg`); elsewhere only if there are no pictures at that place at all.
        Raises Missing with the reason.
        """
        said = posixpath.basename(filename.strip().replace("\\", "/"))
        for name in filter(None, (stem(xml), stem(said))):
            found = self.stems.get(fold(name), [])
            beside = [path for path in found if posixpath.dirname(path) == posixpath.dirname(xml)]
            level = [path for path in found if _place(path) == _place(xml)]
            anywhere = found if _place(xml) not in self.places else []
            near = next(filter(None, (beside, level, anywhere)), [])
            exact = [path for path in near if posixpath.basename(path) == said] if len(near) > 1 else near
            exact = exact or [path for path in near if stem(path) == name]
            if len(exact or near) == 1:
                return (exact or near)[0]
            if near:
                raise Missing(f"ambiguous: its picture could be any of {listed(near, 5)}")
        if filename.strip().startswith(("/", "\\")) or ".." in re.split(r"[\\/]", filename):
            raise Missing(f"{OUTSIDE}: <filename> {short(filename.strip())!r}")
        raise Missing(
            f"missing: there is no picture {stem(xml)}.*" + (f" nor {short(said)}" if stem(said) != stem(xml) else "")
        )


def splits_said(
    files: Files, images: Collection[str], spoken: Collection[str]
) -> tuple[dict[str, list[str]], set[str], list[Rejected]]:
    """By image, the splits it is put in; all splits that are named; rows for list entries that name nothing.

    `ImageSets/Main/{train,val,test}.txt`; lists by class and others are no split. `trainval` only says where a
    picture is that neither of the other two lists has. Without lists: folders called after splits.
    spoken: every picture that an XML is about, read or not, and every XML.
    """
    lists = [path for path in files.ending(".txt") if re.search(r"(^|/)ImageSets/(Main/)?[^/]+$", path)]
    splits = {path: split for path in lists if (split := split_of_folder(stem(path)))}
    both = [path for path in lists if re.fullmatch(r"trainval\d*", stem(path).casefold())]
    if not splits and not both:
        below = {path: [split] for path in images if (split := split_of_path(path))}
        return below, {split for found in below.values() for split in found}, []
    named = set(splits.values())
    if both and not {"train", "val"} <= named:
        rest = "val" if "train" in named else "train"
        splits.update(dict.fromkeys(both, rest))
        named.add(rest)
    keys, known = _keys(images), _keys(spoken)
    said: dict[str, list[str]] = defaultdict(list)
    strange = []
    for path, split in splits.items():
        for line, entry in _entries(files, path):
            found = next((keys[text] for text in _spellings(entry) if text in keys), None)
            if found and not (path in both and said[found]):
                said[found].append(split)
            elif not found and known.keys().isdisjoint(_spellings(entry)):
                reason = f"missing: {short(entry.strip())!r} is listed, but has neither an .xml nor a picture"
                strange.append(Rejected(path, f"{path}:{line}", "row", reason))
    return said, named, strange


def _entries(files: Files, path: str) -> list[tuple[int, str]]:
    """(line number, entry) of a list."""
    text = (files.root / path).read_text(encoding="utf-8-sig", errors="replace")
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _spellings(entry: str) -> tuple[str, ...]:
    """What a line of a list may mean, likeliest last: few names have space at their ends."""
    return entry.rstrip("\r"), entry.strip(), fold(entry.strip())


def _keys(paths: Iterable[str]) -> dict[str, str]:
    """Every way to write a picture in a list: its path below `JPEGImages/`, or its name; suffix or not.

    A name that several have stands for the one with no folder above it, else for none.
    """
    keys: dict[str, str] = {}
    paths = list(paths)
    below = {path: posixpath.join(_place(path), posixpath.basename(path)) for path in paths}
    for texts in (below, {path: posixpath.basename(path) for path in paths}):
        found: dict[str, str] = {}
        twice = set()
        for path, text in texts.items():
            for key in {text, _bare(text), fold(text), fold(_bare(text))}:
                if found.setdefault(key, path) != path:
                    twice.add(key)
        keys = {key: path for key, path in found.items() if key not in twice} | keys
    return keys


def stem(path: str) -> str:
    """The name of a file without folders and suffix."""
    return _bare(posixpath.basename(path))


def _bare(path: str) -> str:
    return posixpath.splitext(path)[0]


def _place(path: str) -> str:
    """The folder of a file, less the first part that only tells the kind of file."""
    parts = path.split("/")[:-1]
    kind = next((i for i, part in enumerate(parts) if part.casefold() in KINDS), len(parts))
    return "/".join(parts[:kind] + parts[kind + 1 :])
