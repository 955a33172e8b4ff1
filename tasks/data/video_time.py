"""The times of a video's frames: as the file stamps them, and growing whatever it stamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

USUAL = 25  # frames a second, where a file does not say
TICK = Fraction(1, 1000)  # seconds: how much later than the one before a frame is that is stamped no later
JUMP = 1  # seconds: a stamp that goes back by more begins a new count


def timed(decoded: Iterable[VideoFrame], stream: VideoStream) -> Iterator[tuple[VideoFrame, Fraction]]:
    """Each frame with its time, in seconds since the first, strictly growing: presentation time × time base.

    A frame without a presentation time has its decoding time (so has every frame of an AVI, which stores neither: what
    FFmpeg makes of B-frames there is out of order); without that too, it follows after one frame's length of the
    average rate. A stamp no later than the one before comes a millisecond after it; one that goes back by more
    than a second begins a new count (recordings put together), which goes on from there. A gap is a gap.
    """
    step, base = 1 / Fraction(stream.average_rate or USUAL), Fraction(stream.time_base or 1)
    first, shift = Fraction(0), Fraction(0)
    last: Fraction | None = None
    unordered = stream.container.format.name == "avi"
    for frame in decoded:
        stamp = frame.dts if frame.pts is None or unordered else frame.pts
        if last is None:
            first, time = (stamp or 0) * base, Fraction(0)
        else:
            said = last + step if stamp is None else stamp * base - first
            time = said if abs(said - last) <= abs(said + shift - last) else said + shift  # of both counts, the nearer
            if time <= last - JUMP:
                shift, time = last + step - said, last + step
            elif time <= last:
                time = last + TICK
        last = time
        yield frame, time
