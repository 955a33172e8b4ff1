"""Files, folders and globs mean pictures; what means none is listed with the reason."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks.inputs import Inputs, parts
from tasks.pictures import expand


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), (shade, 0, 0)).save(path)
    return path


def test_files_folders_and_globs_each_picture_once(tmp_path):
    made = [picture(tmp_path / name) for name in ("a/1.png", "a/b/2.JPG", "a/b/3.png", "c/4.png")]
    (tmp_path / "a/notes.txt").write_text("no picture")
    given = [made[0], tmp_path / "a", tmp_path / "a/**/*.png", tmp_path / "c/*"]
    assert expand([str(path) for path in given]) == (made, [])


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    odd = picture(tmp_path / "roof [1].png")
    assert expand([str(odd)]) == ([odd], [])


def test_the_home_folder_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = picture(tmp_path / "1.png")
    assert expand(["~/1.png", "~/*.png"]) == ([made], [])


def test_what_is_not_there_is_listed(tmp_path):
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "1.png")
    given = [str(tmp_path / name) for name in ("1.png", "gone.png", "*.gif", "empty")]
    found, rejected = expand(given)
    assert found == [tmp_path / "1.png"]
    assert [row["path"] for row in rejected] == given[1:]
    reasons = [row["reason"] for row in rejected]
    assert reasons[:2] == ["no such file or folder, and no file matches it"] * 2
    assert reasons[2].startswith("no picture in this folder (.bmp, ")


def test_no_picture_at_all_is_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"there is no picture to predict on\. .*gone: no such file or folder"):
        parts(Inputs(paths=(str(tmp_path / "gone"),)))


def test_an_empty_path_is_not_the_whole_folder(monkeypatch, tmp_path):
    picture(tmp_path / "1.png")
    monkeypatch.chdir(tmp_path)
    assert expand([""]) == ([], [{"path": "''", "reason": "an empty path"}])


def test_a_name_that_is_not_utf_8_is_listed_and_the_rest_goes_on(tmp_path):
    good = picture(tmp_path / "1.png")
    good.rename(os.fsdecode(bytes(tmp_path) + b"/\xff.png"))
    picture(good)
    found, ((path, reason),) = expand([str(tmp_path)])[0], [row.values() for row in expand([str(tmp_path)])[1]]
    assert found == [good]
    assert path.encode() and reason == "its name is not UTF-8: rename it"


def test_what_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("gone.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket.png"))
        given = [*(str(tmp_path / name) for name in ("pipe.png", "socket.png", "broken.png", "*.png")), "/dev/null"]
        found, rejected = expand([*given, "a" * 5000, "a/" * 5000])
        inside = expand([str(tmp_path)])
    assert found == []
    odd = "a pipe, a socket or a device, and no file"
    reasons = [row["reason"] for row in rejected]
    nothing = "no such file or folder, and no file matches it"
    assert reasons[:5] == [odd, odd, "a link to what is not there (gone.png)", nothing, odd]
    assert reasons[5:] == ["File name too long"] * 2
    assert max(len(row["path"]) for row in rejected[5:]) < 200
    assert [Path(row["path"]).name for row in inside[1]] == ["broken.png", "pipe.png", "socket.png", tmp_path.name]
    assert [row["reason"] for row in inside[1][:3]] == [reasons[2], odd, odd]
    assert inside[1][3]["reason"].startswith("no picture in this folder (")


def test_of_a_folder_the_pictures_are_taken_and_a_broken_link_is_told(tmp_path):
    made = picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("b.png")
    (tmp_path / "folder.png").mkdir()
    assert expand([str(tmp_path)]) == (
        [made],
        [{"path": str(tmp_path / "b.png"), "reason": "a link to what is not there (b.png)"}],
    )


def test_not_all_that_means_nothing_is_told(tmp_path):
    with pytest.raises(Fault, match=r"4: no such file.*; and 95 more$"):
        parts(Inputs(paths=tuple(str(tmp_path / f"{number}") for number in range(100))))
