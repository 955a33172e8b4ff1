"""The pictures that a page carries in itself: small, each once, as many as there is room for."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageOps

from models.runtime.faults import Fault
from models.runtime.images import decode
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset

MOST = 160
ROOM = 4_000_000  # characters of all pictures together
SIDES = {"detection": 420, "classification": 240}  # pixels of the longer side, by a report's task


def embedded(
    dataset: Dataset, annotations: Sequence[Annotation], order: Iterable[int], side: int, room: int = ROOM
) -> dict[int, str]:
    """JPEG data URIs by the index of their image, in this order, until MOST are there or the room is full.

    A picture that cannot be decoded any more is left out.
    """
    taken: dict[int, str] = {}
    for i in order:
        if len(taken) == MOST:
            break
        try:
            picture = _small(dataset.path(annotations[i]), side)
        except Fault:
            continue
        if len(picture) > room:
            break
        taken[i], room = picture, room - len(picture)
    return taken


def _small(path: Path, side: int) -> str:
    image = _read(path, side)
    times = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * times)), max(1, round(image.height * times)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0).save(buffer, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _read(path: Path, side: int) -> Image.Image:
    """The picture, of a JPEG at no more of its size than is needed: of 20 megapixels in a fifth of the time."""
    with contextlib.suppress(Exception), Image.open(path, formats=("JPEG",)) as image:
        if image.mode == "RGB" and image.draft("RGB", (2 * side, 2 * side)):
            return ImageOps.exif_transpose(image)
    return decode(path)  # the one decoder of everything else, which says what is wrong with it
