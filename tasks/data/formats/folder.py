"""A folder per class: `hat/1.jpg`, `shirt/1.jpg`, also below `train/`, `val/` (or `validation/`) and `test/`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.runtime.faults import Fault, listed, short
from tasks.data.annotations import SPLITS
from tasks.data.dataset import Dataset
from tasks.data.formats.claims import Claim
from tasks.data.formats.files import Files
from tasks.data.formats.names import concept, split_of_folder
from tasks.data.formats.placing import copy, inner_names
from tasks.data.formats.source import Labelled, Rejected, Source
from tasks.data.formats.splits import settle

BESIDE = (".txt", ".md", ".csv", ".json")  # files that people keep beside pictures


@dataclass(frozen=True, slots=True)
class Layout:
    """top: the prefix above class or split folders (`images/`), often empty.  splits: the split folders there."""

    top: str
    splits: tuple[str, ...]

    def parts(self, path: str) -> tuple[str, str]:
        """The split folder and the class folder that a path goes through; each empty when none."""
        parts = path[len(self.top) :].split("/")[:-1] if path.startswith(self.top) else []
        if self.splits and parts and parts[0] not in self.splits:
            return "", ""
        split = parts.pop(0) if self.splits and parts else ""
        return split, parts[0] if parts else ""


def claim(files: Files) -> Claim | None:
    """Two class folders or more with pictures in them."""
    layout = _layout(files)
    classed = {path: name for path in files.pictures if (name := layout.parts(path)[1])}
    classes = frozenset(classed.values())
    if files.only or len(classes) < 2:
        return None
    return Claim(_seen(len(classed), len(classes), layout), frozenset(classed), classes)


def read(files: Files) -> Source:
    """The first folder (below a split's) is the concept; whatever is deeper stays in the name.

    A folder that holds nothing but one folder of class folders (`images/`) is looked through. An empty class
    folder is a concept without pictures. Files that are no image are rejected, but for hidden ones, LICENSE,
    README and .txt, .md, .csv, .json, which the note counts.
    Raises Fault when no picture lies in a class folder.
    """
    layout = _layout(files)
    rejected = _strangers(files)
    concepts, said = {}, {}
    for path in files.pictures:
        split, name = layout.parts(path)
        try:
            concepts[path] = concept(name)
        except ValueError:
            rejected.append(Rejected(path, "", "image", "no concept: it lies in no class folder"))
        said[path] = [word for word in (split_of_folder(split),) if word]
    if not concepts:
        raise Fault(f"{files.root}: no picture in a class folder (as `hat/1.jpg`). There is: {files.counts}")
    named = [word for name in layout.splits if (word := split_of_folder(name))]
    splits, remark = settle({path: said[path] for path in concepts}, named)
    images = tuple(
        Labelled(files.root / path, path, posixpath.dirname(path), splits.get(path), (name,))
        for path, name in concepts.items()
    )
    known = sorted({*concepts.values(), *_empty_classes(files, layout)})
    beside = sum(map(_beside, files.paths))
    also = f"{beside} text files beside them are not used" if beside else ""
    note = "; ".join(filter(None, (_seen(len(images), len(known), layout), also, remark)))
    return Source("folder", "classification", True, tuple(known), images, tuple(rejected), note)


def write(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """`<split>/<concept>/<picture>`; all three splits and all concepts get a folder. What is lost, in sentences.

    Raises Fault when an image has not exactly one concept, or a concept cannot be a folder's name.
    """
    for entry in dataset.annotations:
        if len(entry.concepts) != 1:
            raise Fault(
                f"dataset {dataset.name}: {entry.image} has {len(entry.concepts)} concepts "
                f"({listed(entry.concepts) or 'none'}), and a folder per class holds exactly one for each "
                "picture. Use --format csv"
            )
    for name in dataset.concepts:
        if "/" in name or name.startswith("."):
            raise Fault(
                f"dataset {dataset.name}: the concept {short(name)!r} cannot be a folder's name. Use --format csv"
            )
    for split in SPLITS:
        for name in dataset.concepts:
            (folder / split / name).mkdir(parents=True)
    names = inner_names(dataset, lambda entry: entry.split, lambda entry: entry.concepts[0])
    for entry in dataset.annotations:
        copy(dataset, entry, folder / entry.split / entry.concepts[0] / names[entry.image])
    kept = sum(bool(entry.metadata) for entry in dataset.annotations)
    return (f"the metadata of {kept} images (csv keeps it)",) if kept else ()


def _seen(pictures: int, classes: int, layout: Layout) -> str:
    below = f" below {', '.join(layout.splits)}" if layout.splits else ""
    return f"{pictures} pictures in {classes} class folders{below}"


def _layout(files: Files) -> Layout:
    """Split folders count as such where every folder of pictures is one, and where two splits hold class folders.

    So `bus/ car/ train/` are classes, and a stray folder beside `train/` and `val/` does not make them any.
    """
    top = ""
    while True:
        below = _children(files.pictures, top)
        splits = sorted(
            name for name in _children((f"{path}/" for path in files.folders), top) if split_of_folder(name)
        )
        deep = {split_of_folder(name) for name in splits if _children(files.pictures, f"{top}{name}/")}
        if splits and (below <= set(splits) or len(deep) > 1):
            return Layout(top, tuple(splits))
        inside = [path[len(top) :].count("/") for path in files.pictures if path.startswith(top)]
        if len(below) != 1 or min(inside) < 2:
            return Layout(top, ())
        top = f"{top}{below.pop()}/"


def _children(paths: Iterable[str], top: str) -> set[str]:
    """The folders directly below a prefix that paths go through."""
    return {path[len(top) :].split("/")[0] for path in paths if path.startswith(top) and "/" in path[len(top) :]}


def _empty_classes(files: Files, layout: Layout) -> set[str]:
    """The concepts of folders, where class folders are, that hold nothing at all."""
    held = {posixpath.dirname(path) for path in (*files.paths, *files.folders)}
    empty = [path for path in files.folders if path not in held and path.startswith(layout.top)]
    level = 2 if layout.splits else 1
    classes = [
        path for path in empty if path[len(layout.top) :].count("/") == level - 1 and layout.parts(f"{path}/")[1]
    ]
    names = [path.rpartition("/")[2] for path in classes]
    return {concept(name) for name in names if name.strip() and not split_of_folder(name)}


def _beside(path: str) -> bool:
    name = posixpath.basename(path).casefold()
    return name.endswith(BESIDE) or re.match(r"(licen[cs]e|readme)\b", name) is not None


def _strangers(files: Files) -> list[Rejected]:
    pictures = set(files.pictures)
    return [
        Rejected(path, "", "image", "not an image: it has no image format's suffix")
        for path in files.paths
        if path not in pictures and not _beside(path)
    ]
