"""What is answered for: in the order it was given, a part for each so many pictures and for each video."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.predictor import read
from tasks import inputs
from tasks.data.video_writer import Writer
from tasks.inputs import Inputs, Part, batches, parts, seen
from tests.registered import pinned


def picture(path: Path, size: tuple[int, int] = (8, 6)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return str(path)


def video(path: Path, count: int = 5) -> str:
    with Writer(path, 32, 16, 10) as file:
        for i in range(count):
            file.write(Image.new("RGB", (32, 16), (40 * i, 0, 0)), i * 100.0)
    return str(path)


def test_a_video_is_a_part_of_its_own_and_the_order_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SHARD", 2)
    paths = [picture(tmp_path / f"{i}.png") for i in range(3)]
    clip = video(tmp_path / "clip.mp4")
    found, rejected = parts(Inputs(paths=(*paths, clip, picture(tmp_path / "z.png"))))
    assert [(part.at, len(part.paths), part.video) for part in found] == [
        (0, 2, False),
        (2, 1, False),
        (3, 1, True),
        (4, 1, False),
    ]
    assert rejected == []


def test_a_folder_holds_pictures_and_videos(tmp_path):
    picture(tmp_path / "in/a.png")
    video(tmp_path / "in/b.mp4")
    (tmp_path / "in/c.txt").write_text("neither")
    found, _ = parts(Inputs(paths=(str(tmp_path / "in"),)))
    assert [Path(part.paths[0]).name for part in found] == ["a.png", "b.mp4"]


def test_a_list_holds_a_path_a_line(tmp_path):
    one, other = picture(tmp_path / "a b.png"), picture(tmp_path / "c.png")
    (tmp_path / "list.txt").write_text(f"\ufeff{one}\n\n  {other}\n{tmp_path / 'gone.png'}\n")
    found, rejected = parts(Inputs(list=str(tmp_path / "list.txt")))
    assert found[0].paths == (one, other)
    assert [row["path"] for row in rejected] == [str(tmp_path / "gone.png")]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00a", None])
def test_what_is_no_list_is_told(tmp_path, content):
    if content:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(Fault, match=r"list\.txt: no list of paths can be read from it"):
        parts(Inputs(list=str(tmp_path / "list.txt")))


def test_a_datasets_split_is_its_pictures(workspace):
    pinned(workspace / "data" / "shapes")
    assert len(parts(Inputs(dataset="shapes", split="test"))[0][0].paths) == 4
    assert len(parts(Inputs(dataset="shapes"))[0][0].paths) == 16


def test_nothing_is_fetched_until_a_host_is_allowed():
    told = r"https://example\.com/a\.png: nothing is fetched until you allow it: --allow-host example\.com"
    with pytest.raises(Fault, match=told):
        parts(Inputs(paths=("https://example.com/a.png",)))


def test_a_fetched_picture_is_one_among_the_others(tmp_path, monkeypatch):
    content = Path(picture(tmp_path / "a.png", (9, 7))).read_bytes()
    monkeypatch.setattr(inputs, "fetch", lambda address, allow: content)
    given = Inputs(paths=("https://example.com/a.png",), allow=("example.com",))
    rejected: list[dict[str, str]] = []
    (one,) = seen(parts(given)[0][0], given, read, rejected)
    assert (one.where()["image"], one.image.size, rejected) == ("https://example.com/a.png", (9, 7), [])


@pytest.mark.parametrize(("cause", "asked"), [(ConnectionResetError(), 3), (None, 1)])
def test_an_address_is_asked_again_where_the_network_is_at_fault(monkeypatch, cause, asked):
    calls = []

    def broken(address, allow):
        calls.append(address)
        raise Fault(f"{address}: cannot be reached") from cause

    monkeypatch.setattr(inputs, "fetch", broken)
    monkeypatch.setattr(inputs, "PAUSES", (0, 0))
    rejected: list[dict[str, str]] = []
    part = Part(at=0, paths=("https://example.com/a.png",))
    assert list(seen(part, Inputs(allow=("example.com",)), read, rejected)) == []
    assert (len(calls), rejected) == (asked, [{"path": part.paths[0], "reason": "cannot be reached"}])


def test_frames_have_numbers_and_times_and_a_cut_one_is_told(tmp_path):
    clip = Path(video(tmp_path / "clip.mp4", 20))
    part = Part(at=0, paths=(str(clip),), video=True)
    whole = list(seen(part, Inputs(every=3), read, []))
    assert [(one.number, one.time_ms) for one in whole] == [(i, i * 100.0) for i in range(0, 20, 3)]
    assert whole[0].where() == {"image": str(clip), "width": 32, "height": 16, "frame": 0, "time_ms": 0.0}
    clip.write_bytes(clip.read_bytes()[:-200])
    rejected: list[dict[str, str]] = []
    cut = list(seen(part, Inputs(), read, rejected))
    assert len(cut) <= 20
    assert [row["path"] for row in rejected] == [str(clip)]


def test_a_batch_is_smaller_where_pictures_are_large(monkeypatch):
    monkeypatch.setattr(inputs, "PIXELS", 1000)
    pictures = [inputs.Seen(str(i), Image.new("RGB", (20, 20))) for i in range(5)]
    assert [len(batch) for batch in batches(iter(pictures))] == [2, 2, 1]
    monkeypatch.setattr(inputs, "PIXELS", 10)
    assert [len(batch) for batch in batches(iter(pictures))] == [1] * 5


def test_a_files_name_of_an_input_is_a_name(tmp_path):
    frame = inputs.Seen("videos/a/../clip.mp4", Image.new("RGB", (1, 1)), 7, 280.0)
    assert frame.named(".jpg", "wind/..") == Path("wind_..") / "clip-000007.jpg"
    fetched = inputs.Seen("https://example.com/x/y.png?size=9", Image.new("RGB", (1, 1)))
    assert fetched.named("-000.jpg") == Path("y-000.jpg")
