"""A video gives its frames as a person sees them, each at its own time; what is no whole video says so."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks.data import video
from tasks.data.video import frames, probe
from tasks.data.video_time import timed
from tasks.data.video_writer import Writer

SIZE = (64, 48)


def scene(i: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Grey that tells the frame's number, and red in the upper left quarter that tells which way is up."""
    width, height = size
    pixels = np.full((height, width, 3), (i * 8) % 256, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    return Image.fromarray(pixels)


def make(
    path: Path,
    times: Sequence[int | None] = tuple(range(30)),
    base: Fraction = Fraction(1, 30),
    codec: str = "libx264",
    turn: tuple[int, bool] | None = None,
    shape: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of one frame a time, in units of `base`."""
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=30, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        stream.bit_rate = 2_000_000  # mpeg4's own would blur the greys into each other
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        if turn is not None:
            stream.set_display_rotation(*turn)
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_image(scene(i))
            frame.pts, frame.time_base = time, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def shade(image: Image.Image) -> int:
    """The number that `scene` painted below the red."""
    return round(np.asarray(image)[SIZE[1] // 2 + 8 :, :, 1].mean() / 8)


def times(path: Path, **how: object) -> list[float]:
    return [round(frame.time_ms, 3) for frame in frames(path, **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.webm", "libvpx"),
     ("a.mpg", "mpeg2video"), ("a.avi", "libx264"), ("a.flv", "libx264")],
)  # fmt: skip
def test_every_frame_of_every_format_in_its_order_and_at_its_time(tmp_path, name, codec):
    given = list(frames(make(tmp_path / name, codec=codec)))
    assert [frame.number for frame in given] == list(range(30))
    assert [shade(frame.image) for frame in given] == list(range(30))
    assert [frame.time_ms for frame in given] == pytest.approx([i * 1000 / 30 for i in range(30)], abs=0.51)
    assert {(frame.image.mode, frame.image.size) for frame in given} == {("RGB", SIZE)}


def test_what_a_video_says_of_itself(tmp_path):
    said = probe(make(tmp_path / "a.mp4"))
    assert (said.path, said.width, said.height, said.fps) == (tmp_path / "a.mp4", *SIZE, 30.0)
    assert (said.frames, said.duration_ms) == (30, pytest.approx(1000))
    assert probe(make(tmp_path / "a.mkv")).duration_ms == pytest.approx(1000, abs=1)
    assert probe(tmp_path / "a.mkv").frames == 0


def test_a_varying_frame_rate_keeps_the_files_own_times(tmp_path):
    seen = [0, 10, 500, 533, 2000]
    assert times(make(tmp_path / "a.mp4", seen, Fraction(1, 1000))) == seen
    assert times(make(tmp_path / "b.mkv", [1000 + t for t in seen], Fraction(1, 1000))) == seen  # since the first


def test_each_nth_frame_from_the_first(tmp_path):
    path = make(tmp_path / "a.mp4")
    given = list(frames(path, every=7))
    assert [frame.number for frame in given] == [0, 7, 14, 21, 28] == [shade(frame.image) for frame in given]
    assert len(list(frames(path, every=1000))) == 1


def test_frames_a_second_are_counted_in_time(tmp_path):
    path = make(tmp_path / "a.mp4")
    assert [frame.number for frame in frames(path, fps=10)] == list(range(0, 30, 3))
    assert [frame.number for frame in frames(path, fps=4)] == [0, 8, 15, 23]  # the first at or after each tick
    assert [frame.number for frame in frames(path, fps=0.001)] == [0]
    assert len(list(frames(path, fps=30))) == len(list(frames(path, fps=1000))) == 30  # none twice, none lost
    uneven = make(tmp_path / "b.mp4", [0, 10, 20, 990, 1000, 1010, 5000], Fraction(1, 1000))
    assert times(uneven, fps=1) == [0, 1000, 5000]


def test_times_rounded_to_milliseconds_lose_no_frame(tmp_path):
    path = make(tmp_path / "a.mkv")  # says 33 where a thirtieth is 33.3
    assert len(list(frames(path, fps=30))) == 30
    assert [frame.number for frame in frames(path, fps=15)] == list(range(0, 30, 2))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"fps": 1, "every": 2}, "by fps or by every N-th, not by both"),
        ({"fps": 0}, "fps is 0, but must be more than 0"),
        ({"fps": -2.5}, "fps is -2.5"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": float("inf")}, "fps is inf"),
        ({"every": 0}, r"every is 0, but must be 1 \(each frame\) or more"),
    ],
)
def test_a_senseless_pick_is_refused_before_anything_is_opened(tmp_path, how, said):
    with pytest.raises(Fault, match=said):
        frames(tmp_path / "not even there.mp4", **how)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ((90, False), Image.Transpose.ROTATE_90),
        ((-90, False), Image.Transpose.ROTATE_270),
        ((180, False), Image.Transpose.ROTATE_180),
        ((180, True), Image.Transpose.FLIP_TOP_BOTTOM),
        ((0, True), Image.Transpose.FLIP_LEFT_RIGHT),
        ((90, True), Image.Transpose.TRANSVERSE),
        ((-90, True), Image.Transpose.TRANSPOSE),
        ((30, False), None),
    ],
)
def test_a_phones_rotation_is_undone(tmp_path, turn, expected):
    path = make(tmp_path / "a.mp4", range(2), turn=turn)
    upright = scene(0) if expected is None else scene(0).transpose(expected)
    (first, second), said = frames(path), probe(path)
    assert first.image.size == second.image.size == upright.size == (said.width, said.height)
    assert np.abs(np.asarray(first.image, float) - np.asarray(upright)).mean() < 12


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    path = make(tmp_path / "a.mkv", range(2), shape=Fraction(3, 2), codec="mpeg4")
    assert {frame.image.size for frame in frames(path)} == {(96, 48)}
    assert (probe(path).width, probe(path).height) == (96, 48)


@pytest.mark.parametrize(
    ("name", "codec", "options", "said"),
    [
        ("a.mp4", "libx264", {"movflags": "+faststart"}, "half there"),
        ("a.mp4", "libx264", {"movflags": "+frag_keyframe+empty_moov"}, "half there|not all there"),
        ("a.mkv", "libx264", {}, "it should last 3.0 s"),
        ("a.webm", "libvpx", {}, "it should last 3.0 s"),
        ("a.avi", "mpeg4", {}, "half there|it should last 3.0 s"),
    ],
)
def test_of_a_truncated_file_what_decodes_is_given_and_the_rest_told(tmp_path, name, codec, options, said):
    path = cut(make(tmp_path / name, range(90), codec=codec, options=options), 0.7)
    told: list[str] = []
    given = list(frames(path, damaged=told.append))
    assert 10 < len(given) < 70
    assert [shade(frame.image) for frame in given] == [i % 32 for i in range(len(given))]
    (words,) = told
    end = f"{given[-1].time_ms / 1000:.3f} s"
    assert words.startswith(f"{path}: cut off or damaged (") and words.endswith(
        f"{len(given)} frames of it decode, until {end}"
    )
    with pytest.raises(Fault, match=said):
        list(frames(path))


def test_a_file_cut_between_two_frames_is_told_by_its_own_size(tmp_path):
    path = make(tmp_path / "a.mp4", options={"movflags": "+faststart"})
    with av.open(str(path)) as container:
        start = container.streams.video[0].index_entries[-1].pos
    path.write_bytes(path.read_bytes()[:start])
    told: list[str] = []
    assert len(list(frames(path, damaged=told.append))) == 29
    assert "its last part is not all there" in told[0]


@pytest.mark.parametrize(("codec", "share"), [("libx264", 0), ("mpeg4", 0.5)])
def test_damage_in_the_middle_costs_no_frame_before_or_long_after(tmp_path, codec, share):
    path = make(tmp_path / "a.mp4", range(90), codec=codec)
    with av.open(str(path)) as container:
        entry = container.streams.video[0].index_entries[41]
        hit = slice(entry.pos + round(entry.size * share), entry.pos + entry.size)
    content = bytearray(path.read_bytes())
    content[hit] = b"\xff" * (hit.stop - hit.start)
    path.write_bytes(content)
    told: list[str] = []
    given = list(frames(path, damaged=told.append))
    assert len(told) == 1
    assert round(given[41].time_ms * 30 / 1000) > 41  # not even as a frame that is half there
    assert {round(frame.time_ms * 30 / 1000) for frame in given} >= {*range(40), *range(60, 90)}


def test_a_whole_file_is_not_called_damaged(tmp_path):
    edited = make(tmp_path / "a.mp4", range(-5, 25))  # an edit list leaves out what is shown before 0
    for path in (
        edited,
        make(tmp_path / "b.ts"),
        make(tmp_path / "c.mov"),
        make(tmp_path / "d.mkv", range(0, 600, 20)),
    ):
        assert list(frames(path, damaged=pytest.fail))


def test_frames_that_are_not_asked_for_are_not_decoded(tmp_path):
    path = cut(make(tmp_path / "a.mp4", range(90), options={"movflags": "+faststart"}), 0.5)
    assert len(list(islice(frames(path), 5))) == 5  # so the damage behind them is nobody's fault


def test_a_file_of_which_nothing_decodes(tmp_path):
    path = make(tmp_path / "a.mp4", options={"movflags": "+faststart"})
    with av.open(str(path)) as container:
        start = container.streams.video[0].index_entries[0].pos
    path.write_bytes(path.read_bytes()[: start + 4])
    for ask in (probe, lambda path: list(frames(path, damaged=pytest.fail))):
        with pytest.raises(Fault, match="not one frame of it can be decoded"):
            ask(path)


def test_what_is_no_video_is_refused_with_the_reason(tmp_path):
    def refused(path: Path, said: str) -> None:
        for ask in (probe, lambda path: next(frames(path))):
            with pytest.raises(Fault, match=said):
                ask(path)

    refused(tmp_path / "gone.mp4", "gone.mp4: there is no such file")
    refused(tmp_path, "a folder, not a video")
    refused(sound(tmp_path / "a.mp4"), "has no video stream, only audio")
    refused(cut(make(tmp_path / "b.mp4"), 0.6), r"an MP4 without its index \(moov\)")
    for kind in ("JPEG", "GIF", "PNG", "WEBP"):
        picture = tmp_path / f"{kind}.mp4"
        scene(0).save(picture, kind)
        refused(picture, "not a video in a known format")
    (tmp_path / "text.avi").write_text("no video at all\n" * 50)
    refused(tmp_path / "text.avi", r"not a video in a known format \(mov, matroska")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", "an empty file")
    refused(make(tmp_path / "odd.mkv", codec="snow"), "its codec is not read. Known: av1")


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    sound(path)
    with av.open(str(path)) as given, av.open(str(tmp_path / "cover.mp4"), "w") as container:
        tone = container.add_stream_from_template(given.streams.audio[0])
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_image(scene(0))))
        container.mux(cover.encode(None))
        for packet in given.demux(audio=0):
            if packet.dts is not None:
                packet.stream = tone
                container.mux(packet)
    with pytest.raises(Fault, match="only audio"):
        probe(tmp_path / "cover.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".ts"])
def test_a_file_cannot_make_another_one_be_opened(tmp_path, suffix):
    make(tmp_path / "secret.ts")
    for i, listing in enumerate(
        (
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
            "ffconcat version 1.0\nfile secret.ts\n",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        )
    ):
        path = tmp_path / f"{i}{suffix}"
        path.write_text(listing)
        with pytest.raises(Fault, match="not a video in a known format"):
            probe(path)


def test_a_name_is_a_file_whatever_it_looks_like(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http:a.mp4", "concat:a|b.mp4", "%41 ä %d.mp4"):
        make(tmp_path / "a.mp4", range(3)).rename(name)
        assert len(list(frames(Path(name)))) == 3


def test_more_pixels_than_are_allowed_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", 3000)
    with pytest.raises(Fault, match="64×48 pixels, more than the 3,000 allowed"):
        probe(make(tmp_path / "a.mp4", range(2)))


def stamped(*stamps: int | None, dts: int | None = None) -> list[float]:
    container = SimpleNamespace(format=SimpleNamespace(name="matroska,webm"))
    stream = SimpleNamespace(time_base=Fraction(1, 1000), average_rate=Fraction(10), container=container)
    made = [SimpleNamespace(pts=stamp, dts=dts) for stamp in stamps]
    return [float(time * 1000) for _, time in timed(made, stream)]  # type: ignore[arg-type]


def test_times_grow_whatever_the_stamps_say():
    assert stamped(500, 600, 1600) == [0, 100, 1100]  # a gap is a gap
    assert stamped(0, 100, None, 300) == [0, 100, 200, 300]  # none: one frame's length later
    assert stamped(None, None) == [0, 100]
    assert stamped(0, None, dts=70) == [0, 70]
    assert stamped(0, 100, 100, 90, 200) == [0, 100, 101, 102, 200]  # no drift from a stamp said twice
    assert stamped(0, 5000, 0, 2000, 0, 100) == [0, 5000, 5100, 7100, 7200, 7300]  # put together
    assert stamped(0, 5000, 0, 5100, 5100, 5200) == [0, 5000, 5100, 5101, 5102, 5200]  # one bad stamp


READ = "import sys, pathlib; from tasks.data.video import frames; " + (
    "print(sum(1 for _ in frames(pathlib.Path(sys.argv[1])))); import resource; "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


def test_a_long_video_needs_no_more_memory_than_a_short_one(tmp_path):
    peaks = []
    for count in (60, 1500):
        path = make(tmp_path / f"{count}.mp4", range(count))
        done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
        read, peak = map(int, done.stdout.split())
        assert read == count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 8_000  # KiB; the frames as pictures are 13 MB


def written(path: Path, sizes: Sequence[tuple[int, int]], seen: Sequence[float], fps: float = 25) -> Path:
    with Writer(path, *sizes[0], fps) as writer:
        for i, (size, time) in enumerate(zip(sizes, seen, strict=True)):
            writer.write(scene(i, size), time)
    return path


def test_what_is_written_is_read_again_with_its_times(tmp_path):
    seen = [0, 40, 90, 1000, 1033.35, 5000]
    path = written(tmp_path / "deep/a.mp4", [SIZE] * 6, seen)
    given = list(frames(path))
    assert [frame.time_ms for frame in given] == pytest.approx(seen, abs=0.02)
    assert [shade(frame.image) for frame in given] == list(range(6))
    red = np.asarray(given[0].image, float)[4:20, 4:28].mean((0, 1))
    assert red == pytest.approx([255, 0, 0], abs=8)
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]


def test_what_is_written_plays_anywhere(tmp_path):
    path = written(tmp_path / "a.mp4", [SIZE] * 3, [0, 40, 80])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 25)
        assert (stream.colorspace, stream.color_primaries, stream.color_trc, stream.color_range) == (1, 1, 1, 1)
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (1, 1), (2, 3)])
def test_an_odd_size_becomes_even_by_its_own_edge(tmp_path, size):
    with Writer(path := tmp_path / "a.mp4", *size, 25) as writer:
        writer.write(scene(20, size), 0)
    wide, high = (side + side % 2 for side in size)
    assert (probe(path).width, probe(path).height) == (wide, high)
    pixels = np.asarray(next(frames(path)).image, float)
    assert np.abs(pixels[-1, -1] - np.asarray(scene(20, size))[-1, -1]).max() < 30


@pytest.mark.parametrize(
    ("sizes", "seen", "said"),
    [
        ([SIZE, (64, 50)], [0, 40], "64×50 pixels in a video of 64×48; all must have one size"),
        ([SIZE, SIZE], [40, 40], "at 40 ms is not later than the one before"),
        ([SIZE, SIZE], [0, float("nan")], "its time must be 0 or more"),
        ([SIZE], [-1], "its time must be 0 or more"),
        ([(0, 5)], [0], "a video of 0×5 pixels; each side must be 1 to 16,384"),
    ],
)
def test_after_a_fault_nothing_is_left_and_the_old_file_stays(tmp_path, sizes, seen, said):
    (tmp_path / "a.mp4").write_text("old")
    with pytest.raises(Fault, match=said):
        written(tmp_path / "a.mp4", sizes, seen)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "old"


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_senseless_rate_is_refused(tmp_path, fps):
    with pytest.raises(Fault, match="it must be more than 0"):
        Writer(tmp_path / "a.mp4", *SIZE, fps)


def test_a_video_of_nothing_is_a_fault_and_so_is_writing_outside(tmp_path):
    with pytest.raises(Fault, match="no picture was written into it"), Writer(tmp_path / "a.mp4", *SIZE, 25):
        pass
    with pytest.raises(Fault, match="inside a `with` only"):
        Writer(tmp_path / "a.mp4", *SIZE, 25).write(scene(0), 0)
    assert not [file for file in tmp_path.iterdir() if file.is_file()]


def test_another_error_passes_through_and_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), Writer(tmp_path / "a.mp4", *SIZE, 25) as writer:
        writer.write(scene(0), 0)
        raise KeyError
    assert not [file for file in tmp_path.iterdir() if file.is_file()]


def test_a_full_disk_is_a_fault(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
    try:
        with pytest.raises(Fault, match=r"a\.mp4: cannot be written .*Is the disk full"):
            written(tmp_path / "a.mp4", [(640, 480)] * 200, range(0, 8000, 40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [file for file in tmp_path.iterdir() if file.is_file()]
