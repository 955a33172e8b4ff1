"""Writes Pascal VOC: `JPEGImages/`, `Annotations/`, `ImageSets/Main/{train,val,test}.txt`."""

from __future__ import annotations

import posixpath
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tasks.data.annotations import SPLITS, Annotation
from tasks.data.dataset import Dataset
from tasks.data.formats.placing import copy, distinct_stems, inner_names, number, odd_areas, write_text


def write(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """Coordinates with all their digits: what is read back is exactly the same. What is lost, in sentences."""
    names, renamed = distinct_stems(inner_names(dataset))
    (folder / "JPEGImages").mkdir(parents=True)
    for entry in dataset.annotations:
        name = names[entry.image]
        copy(dataset, entry, folder / "JPEGImages" / name)
        write_text(folder / "Annotations" / f"{posixpath.splitext(name)[0]}.xml", _xml(entry, name))
    for split in SPLITS:
        stems = [posixpath.splitext(names[entry.image])[0] for entry in dataset.split(split)]
        write_text(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    return (*renamed, *_lost(dataset))


def _xml(entry: Annotation, name: str) -> str:
    root = Element("annotation")
    _add(root, "folder", posixpath.join("JPEGImages", posixpath.dirname(name)).rstrip("/"))
    _add(root, "filename", posixpath.basename(name))
    size = SubElement(root, "size")
    for side, value in (("width", entry.width), ("height", entry.height), ("depth", 3)):
        _add(size, side, str(value))
    for i, box in enumerate(entry.boxes):
        thing = SubElement(root, "object")
        _add(thing, "name", entry.box_concepts[i])
        _add(thing, "difficult", str(int(entry.difficult[i])))
        frame = SubElement(thing, "bndbox")
        for side, edge in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            _add(frame, side, number(edge))
    indent(root, "\t")
    return tostring(root, encoding="unicode") + "\n"


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text


def _lost(dataset: Dataset) -> list[str]:
    entries = dataset.annotations
    crowds = sum(sum(entry.crowd) for entry in entries)
    areas = sum(map(odd_areas, entries))
    unused = sorted(set(dataset.concepts) - {name for entry in entries for name in entry.box_concepts})
    kept = sum(bool(entry.metadata) for entry in entries)
    named = sum(bool(entry.concepts) for entry in entries)
    said: list[tuple[object, str]] = [
        (crowds, f"the mark of {crowds} boxes that are crowds (coco keeps it): they are written as single things"),
        (areas, f"the areas of {areas} boxes that are not width × height (coco keeps them)"),
        (unused, f"concepts that no box has: {', '.join(unused)} (coco and yolo keep them)"),
        (kept, f"the metadata of {kept} images (coco keeps it)"),
        (named, f"the concepts of {named} images as a whole"),
    ]
    return [sentence for count, sentence in said if count]
