"""Videos, read frame by frame: each as a person sees it, with its own time. No more than a few frames are in memory.

What a file may ask for is a closed list of formats and codecs, and no other file: a playlist, or a picture under a
video's name, is refused. `video_writer.py` writes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from models.runtime.faults import Fault, choices
from models.runtime.images import MAX_PIXELS
from tasks.data.video_end import missing
from tasks.data.video_time import USUAL, timed

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv"}
    | {".wmv", ".asf", ".ogv"}
)
# Demuxers by FFmpeg's names. None of them opens a second file (`hls`, `concat`, `dash` and `sdp` would).
FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg")
CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "msmpeg4", "msmpeg4v2", "mpeg1video", "mpeg2video"}
    | {"mjpeg", "prores", "dnxhd", "theora", "wmv1", "wmv2", "wmv3", "vc1", "flv", "h263", "ffv1", "rawvideo"}
)
ATOMS = {b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"}  # what an MP4 or a MOV begins with
SQUARE = 0.01  # relative: a pixel this near to a square one is one
# Half of a millisecond: Matroska and FLV write times in whole ones, so a frame may lie this much before its tick.
ROUNDED = Fraction(1, 2000)
# Where a display matrix (a, b, c, d; x' = ax + cy, y' = bx + dy, y down) sends the picture, as Pillow calls it.
TURNS = {
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
# Likewise an angle alone, counterclockwise.
QUARTERS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    -180: Image.Transpose.ROTATE_180,
    -90: Image.Transpose.ROTATE_270,
}
ACROSS = {TURNS[turn] for turn in TURNS if turn[0] == 0}  # width and height change places


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video.

    number: of the frame among those that decode, from 0.  time_ms: milliseconds since the first of them, always more
    than of the frame before.  image: RGB, as a person sees it; every frame of a video has one size.
    """

    number: int
    time_ms: float
    image: Image.Image


@dataclass(frozen=True, slots=True)
class Video:
    """What a video says of itself.

    width, height: pixels, as seen (turned, pixels made square).  fps: frames a second on average; 25 where the file
    does not say.  frames: as the container says, 0 where it does not.  duration_ms: likewise, milliseconds.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    duration_ms: float


def probe(path: Path) -> Video:
    """What a video says of itself, once its first frame was decoded.

    Raises Fault where the file is no video of a known format and codec, has only audio, or not one frame decodes.
    """
    with _opened(path) as (container, stream):
        first = next(_decoded(container, stream, []), None)
        if first is None:
            raise _nothing(path)
        width, height = _Look.of(path, first, stream).turned
        length = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        seconds = length if length is not None else Fraction(container.duration or 0, av.time_base)
        return Video(path, width, height, float(_rate(stream)), stream.frames, float(seconds * 1000))


def frames(
    path: Path, fps: float | None = None, every: int = 1, damaged: Callable[[str], object] | None = None
) -> Iterator[Frame]:
    """The frames of a video in the order of their times, decoded as they are asked for.

    fps: at most so many a second: the first frame at or after each tick of k/fps seconds, so that no frame comes
    twice and a slower video gives all of its own.  every: each N-th frame, from the first.  damaged: called once,
    after the last frame, with what to tell of a file that is cut off or damaged; without it that is a Fault.

    Times are the file's own (presentation time × time base), also where the rate varies; see `video_time.timed` for
    stamps that are missing or go back. Turned as the display matrix says (a slanted one turns nothing); frames that
    are half there are left out; one of another size than the first is scaled to it; HDR is not tone-mapped.
    Raises Fault where `fps` or `every` makes no sense (at once), and with `probe`'s reasons.
    """
    if fps is not None and every != 1:
        raise Fault("frames are picked by fps or by every N-th, not by both: leave one of them out")
    if fps is not None and not (fps > 0 and math.isfinite(fps)):
        raise Fault(f"fps is {fps:g}, but must be more than 0: frames a second")
    if every < 1:
        raise Fault(f"every is {every}, but must be 1 (each frame) or more")
    return _frames(path, None if fps is None else Fraction(fps), every, damaged)


def _frames(path: Path, fps: Fraction | None, every: int, damaged: Callable[[str], object] | None) -> Iterator[Frame]:
    with _opened(path) as (container, stream):
        faults: list[str] = []
        look, tick, number, time = None, 0, -1, Fraction(0)
        for number, (frame, time) in enumerate(timed(_decoded(container, stream, faults), stream)):
            look = look or _Look.of(path, frame, stream)
            if fps is not None:
                reached = math.floor((time + ROUNDED) * fps)
                if reached < tick:
                    continue
                tick = reached + 1
            elif number % every:
                continue
            yield Frame(number, float(time * 1000), look.image(frame))
        if number < 0:
            raise _nothing(path)
        said = faults[0] if faults else missing(path, container, stream, time + 1 / _rate(stream))
    if said:
        told = f"{path}: cut off or damaged ({said}). {number + 1} frames of it decode, until {float(time):.3f} s"
        if damaged is None:
            raise Fault(f"{told}. Copy or record it again, or use what there is of it")
        damaged(told)


@dataclass(frozen=True, slots=True)
class _Look:
    """How the first frame is brought before a person, and with it all others: (width, height) stored, the turn."""

    size: tuple[int, int]
    turn: Image.Transpose | None

    @classmethod
    def of(cls, path: Path, frame: VideoFrame, stream: VideoStream) -> _Look:
        shape = float(stream.sample_aspect_ratio or 1)
        wide = frame.width if abs(shape - 1) < SQUARE else max(1, round(frame.width * shape))
        _small_enough(path, wide, frame.height)
        return cls((wide, frame.height), _turn(frame))

    @property
    def turned(self) -> tuple[int, int]:
        return self.size[::-1] if self.turn in ACROSS else self.size

    def image(self, frame: VideoFrame) -> Image.Image:
        image = frame.to_image(width=self.size[0], height=self.size[1])
        return image if self.turn is None else image.transpose(self.turn)


def _turn(frame: VideoFrame) -> Image.Transpose | None:
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # of a frame with data of a kind that PyAV does not list; the angle it reads by itself
        return QUARTERS.get(frame.rotation)
    if data is None:
        return None
    a, b, _, c, d = (np.frombuffer(bytes(cast(SideData, data)), np.int32)[:5] / 65536).tolist()  # 16.16 fixed point
    return TURNS.get((a, b, c, d))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its video stream, ready to decode. Raises Fault with the reason where there is none."""
    if path.is_dir():
        raise Fault(f"{path}: a folder, not a video")
    if not path.is_file():  # to open a pipe would be to wait for who writes into it
        raise Fault(f"{path}: there is no such file")
    only = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path.absolute()}", options=only)
    except (FFmpegError, UnicodeError) as error:
        raise Fault(f"{path}: {_unopened(path, error)}") from None
    with container:
        stream = cast(VideoStream | None, container.streams.best("video"))
        if stream is None or Disposition(stream.disposition) & Disposition.attached_pic:
            kinds = {other.type for other in container.streams} - {"video"}
            raise Fault(f"{path}: has no video stream" + (", only audio" if "audio" in kinds else ""))
        codec = getattr(stream.codec_context, "name", "an unknown one")
        if codec not in CODECS:
            raise Fault(f"{path}: its codec is not read. {choices(codec, CODECS)}")
        _small_enough(path, stream.width, stream.height)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _unopened(path: Path, error: Exception) -> str:
    """Why a file could not be opened, in words."""
    if isinstance(error, PermissionError):
        return "you may not read it"
    if isinstance(error, UnicodeError):
        return "its name is not UTF-8: rename it"
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        return "an empty file"
    if head[4:] in ATOMS and isinstance(error, av.error.InvalidDataError):
        return "an MP4 without its index (moov): it was cut off before it was whole. Copy or record it again"
    return f"not a video in a known format ({', '.join(FORMATS)})"


def _decoded(container: InputContainer, stream: VideoStream, faults: list[str]) -> Iterator[VideoFrame]:
    """The frames that decode whole; what is wrong with the others is put into `faults`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:
            faults.append(f"cannot be read on: {error.strerror}")
            return
        if packet.is_corrupt:  # half of one: a decoder on many threads would lose whole ones over it
            faults.append("a frame is half there")
            continue
        try:
            whole = packet.decode()
        except FFmpegError as error:
            faults.append(f"a frame does not decode: {error.strerror}")
            continue
        for frame in whole:
            if isinstance(frame, VideoFrame) and not frame.is_corrupt:
                yield frame
            else:
                faults.append("a frame is half there")


def _rate(stream: VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or USUAL)


def _small_enough(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Fault(f"{path}: {width}×{height} pixels, more than the {MAX_PIXELS:,} allowed")


def _nothing(path: Path) -> Fault:
    return Fault(f"{path}: not one frame of it can be decoded. Is it damaged or cut off?")
