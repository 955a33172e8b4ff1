"""A dataset is built whole or leaves nothing; what lies about is taken away; lists are read line by line."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from models.runtime.faults import Fault
from tasks.data import store
from tasks.data.annotations import Annotation
from tasks.data.formats.source import Rejected
from tasks.data.store import build, locked, read_rows, record, tidy, write_rows


def pictures(folder: Path, *names: str, size: int = 100) -> tuple[list[Annotation], dict[str, Path]]:
    """Annotations, and where their pictures are; each picture's bytes are its name, again and again."""
    folder.mkdir(exist_ok=True)
    entries, files = [], {}
    for name in names:
        content = (name.encode() * size)[:size]
        files[name] = folder / name
        files[name].write_bytes(content)
        entries.append(Annotation(name, hashlib.sha256(content).hexdigest(), 8, 6, "train"))
    return entries, files


def test_any_name_of_a_dataset_leaves_the_lock_alone(workspace):
    with locked():
        assert record("lock").is_dir()
    with locked():
        pass


def test_an_ingest_that_fails_anywhere_leaves_nothing_beside_the_dataset(workspace):
    def fails():
        with locked():
            (workspace / "data/.roofs.new/images").mkdir(parents=True)
            raise OSError(28, "No space left on device", "/disk/file")

    with pytest.raises(Fault, match=r"/disk/file: cannot be read or written \(No space left on device\)"):
        fails()
    assert list((workspace / "data").iterdir()) == []


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_a_build_that_fails_leaves_nothing(workspace, tmp_path, spoil):
    entries, files = pictures(tmp_path / "source", "a.png", "b.png")
    spoil(files["b.png"])
    with pytest.raises(Fault, match=r"b\.png: (cannot be read or written \(No such file|changed while it was)"):
        build("roofs", "name: roofs\n", entries, files)
    assert list((workspace / "data").glob(".*")) == []


def test_a_picture_that_goes_while_others_are_copied_is_a_fault(workspace, tmp_path, monkeypatch):
    entries, files = pictures(tmp_path / "source", "a.png")
    monkeypatch.setattr(store, "room_for", lambda *_: files["a.png"].unlink())
    with pytest.raises(Fault, match=r"a\.png: cannot be read or written"):
        build("roofs", "name: roofs\n", entries, files)


def test_what_ingests_of_other_names_left_is_tidied_too(workspace):
    for name in (".roofs.new", ".roofs.old", ".boats.old", ".hidden", "roofs"):
        (workspace / "data" / name).mkdir(parents=True)
    tidy()
    assert sorted(path.name for path in (workspace / "data").iterdir()) == [".hidden", "boats", "roofs"]


def test_a_build_needs_room_for_all_pictures(workspace, tmp_path, monkeypatch):
    entries, files = pictures(tmp_path / "source", "a.png", "b.png")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 800, 200))
    assert build("roofs", "name: roofs\n", entries, files)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 801, 199))
    with pytest.raises(Fault, match=r"GB are needed .*GB are free"):
        build("roofs", "name: roofs\n", entries, files)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b.png,,image,broken, and more", r"list\.csv:3: must have 4 fields.*needs quotes"),
        ("b.png,,image", r"list\.csv:3: must have 4 fields"),
    ],
)
def test_a_row_of_another_length_is_named(tmp_path, line, message):
    (tmp_path / "list.csv").write_text(f"path,row,what,reason\na.png,,image,broken\n{line}\n")
    with pytest.raises(Fault, match=message):
        read_rows(tmp_path / "list.csv")


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = (Rejected("a, b.png", "x.csv:2", "row", 'said "no"\nand went'),)
    write_rows(tmp_path / "rejected.csv", rows)
    assert read_rows(tmp_path / "rejected.csv") == rows
