"""Looking into a visual index: what is nearest to a picture, or to a part of it."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.runtime.faults import Fault, short
from tasks.answers import in_our_words, predictor
from tasks.data import nearest
from tasks.data.graph import Graph
from tasks.data.nearest import Nearest, exact, unit
from tasks.hits import hits_sheet
from tasks.index_files import GRAPH, VisualIndex, damaged
from tasks.index_rows import Where, chosen
from tasks.registry import Version, resolve
from tasks.sheets import written

Box = tuple[float, float, float, float]
TOP = 1000  # hits that may be asked for
SHEETS = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found. hits: rows of rank, score (cosine similarity, -1 to 1), image, split, concepts, metadata,
    sha256 and `same` (the file has the bytes of the picture asked about).

    looked_at: pictures of the index that the filters let in.  exact: whether all of these were looked at.
    sheet: the contact sheet; empty where nothing was found.
    """

    picture: str
    box: Box | None
    dataset: str
    dataset_version: str
    model: str
    images: int
    looked_at: int
    exact: bool
    hits: list[dict[str, Any]]
    sheet: str


def look(
    index: VisualIndex,
    picture: Path,
    top: int = 20,
    where: Where | None = None,
    box: Box | None = None,
    sheet: Path | None = None,
    all_of_them: bool = False,
) -> Hits:
    """The pictures of an index nearest to one, or to the part of it in a box (xyxy, pixels), among those filtered.

    sheet: where the contact sheet goes, `.jpg`; default: `hits.jpg` beside the index.
    all_of_them: every picture is looked at, also where there is a graph.
    Raises Fault where the picture cannot be read, the box lies outside it, or a filter names what is not there.
    """
    if not 1 <= top <= TOP:
        raise Fault(f"top-k: a number from 1 to {TOP} is wanted, got {top}")
    sheet = checked_sheet(sheet or index.folder.parent / "hits.jpg", Path(picture))
    mask = chosen(index, where) if where else None
    version = same_version(index)
    asked, vector = _asked(version, picture, box)
    if vector.shape[1] != index.head.dimension:
        raise damaged(index.folder / "index.json", f"{version} answers {vector.shape[1]} numbers")
    found, every = ranked(index, vector, top, mask, all_of_them)
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    hits = []
    for rank, (score, number) in enumerate(zip(found.scores[0], found.rows[0], strict=True), 1):
        if number >= 0:
            row = index.row(int(number))
            told = {"rank": rank, "score": round(float(score), 6), "image": row.image, "split": row.split}
            more = {"metadata": row.metadata, "sha256": row.sha256, "same": row.sha256 == digest}
            hits.append(told | {"concepts": list(row.concepts)} | more)
    looked_at = index.head.count if mask is None else int(np.count_nonzero(mask))
    if hits:
        part = f"part of {picture.name}" if box else picture.name
        what = f"the nearest to {part} of {looked_at} pictures of {index}"
        written(hits_sheet(asked, part, hits, index.pictures, what), sheet)
    head = index.head
    about = (head.dataset, head.dataset_version, head.model, head.count, looked_at, every)
    return Hits(str(picture), box, *about, hits, str(sheet) if hits else "")


def ranked(
    index: VisualIndex, asked: np.ndarray, top: int, mask: np.ndarray | None = None, all_of_them: bool = False
) -> tuple[Nearest, bool]:
    """The nearest to (Q, D) vectors of length 1, and whether all that the mask lets in were looked at.

    A graph is walked where more than `nearest.EXACT` pictures are let in: of fewer a look at all takes less time than
    a walk past those left out.
    """
    looked_at = index.head.count if mask is None else int(np.count_nonzero(mask))
    if index.graph is None or all_of_them or looked_at <= nearest.EXACT:
        found, every = exact(index.vectors, asked, top, mask), True
    else:
        found, every = open_graph(index).nearest(index.vectors, asked, top, mask), False
    if np.isnan(found.scores).any():
        raise damaged(index.folder / "vectors.npy", "it holds numbers that are not finite")
    return found, every


def open_graph(index: VisualIndex, changing: bool = False) -> Graph:
    """Its graph. Raises Fault where the file is another's."""
    path = index.folder / GRAPH
    try:
        graph = Graph.read(path, changing)
    except ValueError as error:
        raise damaged(path, str(error)) from None
    if (len(graph), graph.dimension) != (index.head.count, index.head.dimension):
        raise damaged(path, f"it is of {len(graph)} × {graph.dimension} numbers")
    return graph


def same_version(index: VisualIndex) -> Version:
    """The version that made the vectors. Raises Fault where it is gone, or its name is another's by now."""
    again = f"`sightline index build {index.head.dataset} --model NAME` makes an index by another version."
    try:
        version = resolve(index.head.model)
    except Fault as fault:
        raise Fault(f"{index.folder}: is by {index.head.model}, which is not there: {fault} {again}") from None
    if version.logged_model != index.head.logged_model:
        raise Fault(f"{index.folder}: is by an earlier {index.head.model}, whose files are gone. {again}")
    return version


def _asked(version: Version, picture: Path, box: Box | None) -> tuple[Image.Image, np.ndarray]:
    """The picture or its part, and its (1, D) vector of length 1, decoded and embedded by the version's own code."""
    if not picture.is_file():
        raise Fault(f"{short(str(picture), 200)}: there is no such file. Name one picture.")
    ready = predictor(version)
    with in_our_words(version):
        image = sys.modules[type(ready).__module__].read(picture)
    image = _part(image, box, picture) if box else image
    with in_our_words(version):
        vector = ready.embed([image])
    if not np.isfinite(vector).all():
        raise Fault(f"{picture}: {version} answers with numbers that are not finite. Take another version.")
    return image, unit(vector)


def _part(image: Image.Image, box: Box, picture: Path) -> Image.Image:
    """What is in a box, every pixel that it touches."""
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height):
        given = ",".join(f"{side:g}" for side in box)
        raise Fault(
            f"{picture}: box {given} is no part of the picture, which is {image.width} × {image.height} pixels. "
            "Write x0,y0,x1,y1 with x0 < x1 and y0 < y1."
        )
    return image.crop((math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)))


def checked_sheet(path: Path, asked: Path | None = None) -> Path:
    """Where a sheet can be written. Raises Fault for a name that is no JPEG's, one below a file, the picture asked."""
    if asked is not None and path.exists() and asked.exists() and path.samefile(asked):
        raise Fault(f"{path}: is the picture that is asked about; the sheet would take its place. Name another file.")
    if path.suffix.lower() not in SHEETS:
        raise Fault(f"{path}: a sheet is written as JPEG. Name a file that ends in .jpg.")
    path = path.resolve()
    there = next(folder for folder in path.parents if folder.exists())
    if not there.is_dir():
        raise Fault(f"{path}: {there} is no folder, so nothing can lie in it. Name another file.")
    return path


def watched(starts: Sequence[int], what: str) -> Iterable[int]:
    """The steps, under a progress bar where somebody watches."""
    from rich.console import Console
    from rich.progress import track

    return track(starts, what, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
