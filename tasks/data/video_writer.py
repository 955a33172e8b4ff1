"""Videos, written: H.264 in an MP4 that any player and browser shows, whole or not at all."""

from __future__ import annotations

import math
import os
import uuid
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image

from models.runtime.faults import Fault

CLOCK = 90_000  # ticks a second: what a time is rounded to (0.011 ms)
LONGEST = 16_384  # pixels of a side: the most that H.264 knows
BT709 = 1  # of matrix, primaries and transfer: named, because players guess by the size where they are not


class Writer:
    """An MP4 that is written picture by picture; use it in a `with`.

    width, height: of every picture, pixels; an odd side gets its last row or column twice, because the colours of
    H.264 (yuv420p) lie on every second pixel.  fps: frames a second, roughly: what the encoder and players are told;
    when a picture is seen is its `time_ms` alone.

    The file stands at `path` when the `with` ends well, its index in front; after an error there is nothing, and what
    stood there before stays. Raises Fault where size or rate make no sense, or nothing was written.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float) -> None:
        if not (1 <= width <= LONGEST and 1 <= height <= LONGEST):
            raise Fault(f"{path}: a video of {width}×{height} pixels; each side must be 1 to {LONGEST:,}")
        if not (math.isfinite(fps) and 0 < fps <= CLOCK):
            raise Fault(f"{path}: a video of {fps:g} frames a second; it must be more than 0")
        self.path, self.size = path, (width, height)
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        self._beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")  # git ignores what a kill leaves
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last: int | None = None

    def __enter__(self) -> Writer:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except (FFmpegError, UnicodeError) as error:
            self._discard()
            raise self._unwritten(error) from error
        return self

    def _start(self) -> None:
        faststart = {"movflags": "+faststart"}  # the index in front: a browser shows it before it has all of it
        self._container = av.open(f"file:{self._beside.absolute()}", "w", format="mp4", container_options=faststart)
        # crf 20: boxes and their labels keep sharp edges.  veryfast: a third of the time of the default.
        stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height = (side + side % 2 for side in self.size)
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, CLOCK)
        stream.color_range, stream.colorspace = ColorRange.MPEG, BT709
        stream.color_primaries = stream.color_trc = BT709
        self._stream = stream

    def write(self, image: Image.Image, time_ms: float) -> None:
        """One picture, seen from `time_ms` (milliseconds, ≥ 0) until the next one's.

        Raises Fault where it has another size than the video, its time is not later than the one before, or the disk
        does not take it.
        """
        if self._container is None or self._stream is None:
            raise Fault(f"{self.path}: is written to inside a `with` only")
        if image.size != self.size:
            sizes = "a picture of {}×{} pixels in a video of {}×{}".format(*image.size, *self.size)
            raise Fault(f"{self.path}: {sizes}; all must have one size")
        if not (math.isfinite(time_ms) and time_ms >= 0):
            raise Fault(f"{self.path}: a picture at {time_ms:g} ms; its time must be 0 or more")
        stamp = round(time_ms * CLOCK / 1000)
        if self._last is not None and stamp <= self._last:
            raise Fault(f"{self.path}: a picture at {time_ms:g} ms is not later than the one before it")
        self._last = stamp
        try:
            self._container.mux(self._stream.encode(self._encodable(image, stamp)))
        except FFmpegError as error:
            raise self._unwritten(error) from error

    def _encodable(self, image: Image.Image, stamp: int) -> VideoFrame:
        pixels = np.asarray(image.convert("RGB"))
        pixels = np.pad(pixels, ((0, self.size[1] % 2), (0, self.size[0] % 2), (0, 0)), mode="edge")
        colours = VideoFrame.from_ndarray(pixels, "rgb24")
        frame = colours.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        frame.pts, frame.time_base = stamp, Fraction(1, CLOCK)
        frame.duration = max(1, round(CLOCK / self._rate))
        return frame

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        except FFmpegError as failed:
            raise self._unwritten(failed) from failed
        finally:
            self._discard()

    def _finish(self) -> None:
        if self._container is None or self._stream is None or self._last is None:
            raise Fault(f"{self.path}: no picture was written into it")
        self._container.mux(self._stream.encode(None))
        self._container.close()
        with self._beside.open("rb") as file:
            os.fsync(file.fileno())
        self._beside.replace(self.path)

    def _discard(self) -> None:
        """Whatever is still open or beside is gone; after a good end there is nothing of either."""
        container, self._container, self._stream = self._container, None, None
        try:
            if container is not None:
                container.close()
        except FFmpegError:
            pass  # of a file that is thrown away: what went wrong was told already
        finally:
            self._beside.unlink(missing_ok=True)

    def _unwritten(self, error: Exception) -> Fault:
        said = getattr(error, "strerror", None) or error
        return Fault(f"{self.path}: cannot be written ({said}). Is the disk full, or read-only?")
