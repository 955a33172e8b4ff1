"""Pascal VOC: one XML a picture, in `Annotations/` (with `JPEGImages/`, `ImageSets/Main/`) or beside the pictures.

Coordinates are kept as said, without VOC's own shift by one pixel: most tools write plain pixels, and what is
read is written back the same. `pose`, `truncated`, `occluded`, `part` and `segmented` are not kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException, DTDForbidden, EntitiesForbidden
from defusedxml.ElementTree import fromstring

from models.runtime.faults import Fault, short
from tasks.data.formats.claims import Claim
from tasks.data.formats.files import Files, Missing, fold
from tasks.data.formats.names import concept
from tasks.data.formats.source import Boxed, Labelled, Rejected, Source, columns
from tasks.data.formats.splits import settle
from tasks.data.formats.voc_layout import NOT_PHOTOS, Layout, splits_said, stem

HEAD = 65_536  # bytes of a file that are looked at to recognise it


def claim(files: Files) -> Claim | None:
    """An XML file with `<annotation>` near its beginning."""
    xmls = [] if files.only else files.ending(".xml")
    if not any(_looks(files.root / path) for path in xmls):
        return None
    stems = {fold(stem(path)) for path in xmls}
    return Claim(
        f"{len(xmls)} .xml files with <annotation>", frozenset(p for p in files.pictures if fold(stem(p)) in stems)
    )


def _looks(path: Path) -> bool:
    with path.open("rb") as file:
        return re.search(rb"<annotation[\s>]", file.read(HEAD)) is not None


def read(files: Files) -> Source:
    """One image for each XML that has a picture; pictures without XML and XML without picture are rejected.

    The picture of an XML is the one with its stem, beside it or in the sibling `JPEGImages/` or `images/`;
    then the one its `<filename>` names. An XML without an object is an image without boxes.
    Splits: `ImageSets/Main/{train,val,test}.txt` (`trainval` only fills what these leave out), else folders
    called `train/`, `val/`, `test/`.  Raises Fault when there is no XML.
    """
    xmls = files.ending(".xml")
    if not xmls:
        raise Fault(f"{files.root}: there is no .xml, so it is not Pascal VOC. There is: {files.counts}")
    photos = [path for path in files.pictures if not NOT_PHOTOS.intersection(path.split("/"))]
    layout = Layout.of(photos)
    images: dict[str, Labelled] = {}
    rejected: list[Rejected] = []
    spoken: set[str] = set(xmls)  # these, and every picture that one of them is about, read or not
    for path in xmls:
        image, rows = _image(files, layout, path)
        if image and image.name in images:
            reason = f"a second annotation: {images[image.name].where} speaks of this picture already"
            rows = [Rejected(image.name, path, "annotation", reason)]
        elif image:
            images[image.name] = image
        rejected += rows
        spoken.update(row.path for row in rows)
    spoken.update(images)
    reason = "no annotation: there is no .xml of its name"
    rejected += [Rejected(path, "", "image", reason) for path in photos if path not in spoken]
    said, named, strange = splits_said(files, images, spoken)
    splits, remark = settle(said, named)
    known = sorted({name for image in images.values() for name in image.box_concepts})
    masks = len(files.pictures) - len(photos)
    seen = f"{len(xmls)} .xml files, {len(photos)} pictures" + (f", {masks} masks that are not used" if masks else "")
    note = "; ".join(filter(None, (seen, remark)))
    found = tuple(image.within(splits.get(name)) for name, image in sorted(images.items()))
    return Source("voc", "detection", False, tuple(known), found, (*rejected, *strange), note)


def _image(files: Files, layout: Layout, path: str) -> tuple[Labelled | None, list[Rejected]]:
    """The image that an XML is about, or none; and rows for what of it cannot be used."""
    broken, element = "", Element("annotation")
    try:
        element = _parsed(files.root / path)
    except ValueError as error:
        broken = str(error)
    try:
        name = layout.picture(path, element.findtext("filename") or "")
    except Missing as missing:
        what, reason = ("annotation", broken) if broken else ("image", str(missing))
        return None, [Rejected(path, "", what, reason)]
    if broken:
        return None, [Rejected(name, path, "annotation", broken)]
    boxes, rejected = [], []
    for number, thing in enumerate(element.findall("object"), 1):
        where = f"{path}#object {number}"
        try:
            boxes.append(_boxed(thing, where))
        except ValueError as error:
            rejected.append(Rejected(name, where, "box", str(error)))
    return Labelled(files.root / name, name, path, size=_size(element), **columns(boxes)), rejected


def _parsed(path: Path) -> Element:
    """The root of an XML file. Raises ValueError with the reason when it cannot be trusted or read."""
    try:
        element = fromstring(path.read_bytes(), forbid_dtd=True)
    except (DTDForbidden, EntitiesForbidden):
        raise ValueError("unsafe XML: it declares a document type or entities, which attacks are made of") from None
    except (ParseError, DefusedXmlException, LookupError, ValueError, OSError) as error:
        raise ValueError(f"broken XML: {error}") from None
    if element.tag != "annotation":
        raise ValueError(f"not an annotation: its root is <{short(element.tag)}>, not <annotation>")
    return element


def _boxed(thing: Element, where: str) -> Boxed:
    name = concept(thing.findtext("name") or "")
    frame = thing.find("bndbox")
    if frame is None:
        raise ValueError("no box: there is no <bndbox>")
    texts = {side: (frame.findtext(side) or "").strip() for side in ("xmin", "ymin", "xmax", "ymax")}
    x0, y0, x1, y1 = (_number(side, texts) for side in texts)
    difficult = (thing.findtext("difficult") or "").strip().lower() in ("1", "true")
    return Boxed((x0, y0, x1, y1), name, where, difficult=difficult)


def _number(side: str, texts: Mapping[str, str]) -> float:
    try:
        value = float(texts[side])
    except ValueError:
        raise ValueError(f"not a number: <{side}> is {short(texts[side])!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"not a finite number: <{side}> is {short(texts[side])!r}")
    return value


def _size(element: Element) -> tuple[int, int] | None:
    """Width and height as claimed, also the 0×0 of tools that do not know them; None where none is."""
    try:
        width, height = (int(float(element.findtext(f"size/{side}") or "")) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width >= 0 and height >= 0 else None
