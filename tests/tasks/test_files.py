"""A file is written whole or not at all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks import files
from tasks.data.pointer import Pointer, prepared


def test_text_and_bytes_arrive_as_they_are(tmp_path):
    assert files.write(tmp_path / "deep/ü.txt", "ä\r\n").read_bytes() == "ä\r\n".encode()
    assert files.write(tmp_path / "deep/ü.txt", b"\0").read_bytes() == b"\0"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["ü.txt"]


def test_who_may_read_it_is_what_the_user_set_and_that_is_left_alone(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as context:
            context.setattr(os, "umask", lambda mask: pytest.fail("other threads would write with it"))
            mode = files.write(tmp_path / "a", "1").stat().st_mode & 0o777
    finally:
        os.umask(before)
    assert mode == 0o640


def test_what_stood_there_stays_when_writing_fails(tmp_path, monkeypatch):
    files.write(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir() if path.is_file()] == [("a", "old")]


def test_git_ignores_what_a_kill_leaves(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copy(Path(__file__).parents[2] / ".gitignore", tmp_path)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setenv("SIGHTLINE_ROOT", str(tmp_path))
    with prepared(Pointer(document={"outs": []})):
        pass
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            files.write(tmp_path / "prefect.yaml", "new")
    assert len(list(tmp_path.glob(".*.new"))) == 3
    said = subprocess.run(["git", "-C", str(tmp_path), "status", "-s"], check=True, capture_output=True, text=True)
    assert said.stdout == "?? .gitignore\n"
    assert (tmp_path / ".data.dvc.new").exists()
