"""How a video file shows that there was more of it: what FFmpeg reads to its end without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

MISSED = Fraction(1, 2)  # seconds: a video this much shorter than its file says is cut off
PARTS = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"mfra", b"free", b"skip", b"wide", b"uuid", b"meta"}


def missing(path: Path, container: InputContainer, stream: VideoStream, until: Fraction) -> str:
    """What shows that a file was cut off, in words; empty where nothing does.

    until: seconds from the start of the video to the end of the last frame that was read. An MP4 is measured by its
    parts, each of which says its own size; Matroska, AVI, FLV and ASF by the length they claim. A transport or program
    stream (.ts, .mpg) and Ogg claim none: they end where they end.
    """
    kind = container.format.name.split(",")[0]
    if kind == "mov":
        return "its last part is not all there" if any(end > path.stat().st_size for end in _parts(path)) else ""
    length = _claimed(kind, container, stream)
    return f"it should last {float(length):.1f} s" if length is not None and until < length - MISSED else ""


def _parts(path: Path) -> Iterator[int]:
    """Where each part of an MP4 ends by its own header (ISO/IEC 14496-12, 4.2), up to the first of an unknown name."""
    start = 0
    with path.open("rb") as file:
        while head := file.read(16):
            if len(head) < 8:
                yield start + 8  # half a header
            if head[4:8] not in PARTS:  # what a camera, or somebody else, put behind the video
                return
            size = int.from_bytes(head[:4], "big")
            if size == 1:  # in 64 bits, behind the name
                size = int.from_bytes(head[8:], "big")
            if size < 8:  # 0: to the end of the file; less than its own header: nonsense
                return
            start += size
            yield start
            file.seek(start)


def _claimed(kind: str, container: InputContainer, stream: VideoStream) -> Fraction | None:
    """How long the file says its video lasts, in seconds; None where it says it only of all streams together."""
    if kind == "avi" and stream.frames and stream.average_rate:
        return stream.frames / Fraction(stream.average_rate)
    if kind in ("matroska", "flv", "asf"):
        before = (stream.start_time or 0) * Fraction(stream.time_base or 1)  # these count from the file's own 0
        said = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
        if said:
            return int(said[1]) * 3600 + int(said[2]) * 60 + Fraction(said[3]) - before
        if len(container.streams) == 1 and container.duration:
            return Fraction(container.duration, av.time_base) - before
    return None
