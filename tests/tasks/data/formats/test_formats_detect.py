"""Which format a source is in, and what no source may do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from models.runtime.faults import Fault
from tasks.data import formats
from tasks.data.formats import coco
from tasks.data.formats.files import walk

XML = "<annotation><object><name>cat</name></object></annotation>"
COCO = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
ROW = "0 0.5 0.5 0.1 0.1\n"


@pytest.mark.parametrize(
    ("files", "format"),
    [
        ({"JPEGImages/1.jpg": b"", "Annotations/1.xml": XML}, "voc"),
        ({"train/1.jpg": b"", "train/1.xml": XML, "test/2.jpg": b"", "test/2.xml": XML}, "voc"),
        ({"JPEGImages/1.jpg": b"", "Annotations/1.xml": XML, "t.csv": "filename,cell_type,xmin\n1.jpg,RBC,1\n"}, "voc"),
        ({"images/1.jpg": b"", "annotations/a.json": COCO, "package.json": {"images": []}}, "coco"),
        ({"a/1.jpg": b"", "b/2.jpg": b"", "a.json": COCO}, "coco"),
        ({"a/1.jpg": b"", "a/1.txt": ROW, "b/1.jpg": b"", "b/1.txt": ROW}, "yolo"),
        ({"1.jpg": b"", "1.txt": "", "data.yaml": "names: [cat]\ntrain: .\n"}, "yolo"),
        ({"a/1.jpg": b"", "b/1.jpg": b"", "x.csv": "path,label\na/1.jpg,cat\nb/1.jpg,dog\n"}, "csv"),
        ({"1.jpg": b"", "x.csv": "input,concepts\n1.jpg,cat\n"}, "csv"),
        (
            {"cat/1.jpg": b"", "dog/1.jpg": b"", "x.csv": "path,label,split\ncat/1.jpg,cat,train\ndog/1.jpg,dog,val\n"},
            "csv",
        ),
        (
            {"cat/1.jpg": b"", "dog/1.jpg": b"", "config.yaml": "a: 1", "notes.csv": "a,b\n", "cat/1.txt": "a cat"},
            "folder",
        ),
        ({"train/cat/1.jpg": b"", "train/dog/1.jpg": b"", "val/cat/1.jpg": b""}, "folder"),
    ],
)
def test_each_format_is_recognised(lay, files, format):
    source = lay(files)
    assert formats.read(source).format == format


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"1.jpg": b"", "1.xml": XML, "a.json": COCO}, "voc or --format coco"),
        ({"1.jpg": b"", "1.xml": XML, "1.txt": ROW}, "voc or --format yolo"),
        (
            {"cat/1.jpg": b"", "dog/1.jpg": b"", "a.csv": "path,label\ncat/1.jpg,cat\ndog/1.jpg,dog\n"},
            "csv or --format folder",
        ),
        ({"cat/1.jpg": b"", "dog/1.jpg": b"", "x/2.jpg": b"", "x/2.xml": XML}, "voc or --format folder"),
    ],
)
def test_two_candidates_are_both_named(lay, files, names):
    source = lay(files)
    with pytest.raises(Fault, match=f"it could be .* or .*Say which: --format {names}"):
        formats.read(source)


def test_a_large_coco_file_may_speak_of_every_picture(lay, monkeypatch):
    large = COCO | {"images": [{"id": i, "file_name": f"{i}.jpg", "license": "x" * 200} for i in (2, 3, 4)]}
    pictures = {f"{folder}/{number}.jpg": b"" for number, folder in enumerate("abab", 1)}
    source = lay(pictures | {"large.json": large, "small.json": COCO})
    monkeypatch.setattr(coco, "SMALL", 500)
    assert formats.read(source).format == "coco"


def test_nothing_known_says_what_was_looked_for_and_what_is_there(lay):
    with pytest.raises(Fault, match=r"Looked for: Pascal VOC .* There is: 2 \.jpg, 1 \.pdf.*--format voc\|coco"):
        formats.read(lay({"1.jpg": b"", "2.jpg": b"", "3.pdf": b""}))


@pytest.mark.parametrize(
    ("file", "content", "format", "message"),
    [
        ("x.json", "{", "auto", r"x\.json: broken JSON: Expecting property name"),
        ("x.json", "[" * 100_000, "auto", r"x\.json: broken JSON: maximum recursion"),
        ("x.csv", "path,label\n1.jpg,cat\n".encode("utf-16"), "auto", r"x\.csv: not UTF-8, as which it must be saved:"),
        ("x.csv", "path,label\n1.jpg,cat\n".encode("utf-16"), "csv", r"x\.csv: not UTF-8, as which it must be saved:"),
        ("x.yaml", "names: [", "auto", r"x\.yaml: not YAML: while parsing"),
    ],
)
def test_the_one_file_of_labels_that_cannot_be_parsed_is_named(lay, file, content, format, message):
    with pytest.raises(Fault, match=message):
        formats.read(lay({"1.jpg": b"", file: content}), format)


def test_what_is_no_regular_file_is_not_waited_for(lay):
    source = lay({"cat/1.jpg": b"", "dog/1.jpg": b""})
    pipes = ("labels.csv", "a.json", "data.yaml", "dog/2.jpg", "dog/1.txt", "dog/1.xml")
    for name in pipes:
        os.mkfifo(source / name)
    found = formats.read(source)
    assert {(row.path, row.reason) for row in found.rejected} == {(name, "not a regular file") for name in pipes}
    with pytest.raises(Fault, match=r"labels\.csv: neither a folder nor a regular file"):
        formats.read(source / "labels.csv")


def test_folders_nested_without_end_are_one_row(lay):
    source = lay({"cat/1.jpg": b"", "dog/1.jpg": b"", f"cat/{'d/' * 150}": None})
    reasons = [row.reason for row in formats.read(source).rejected]
    assert reasons == ["its path is too long (more than 100 folders or 2000 bytes)"]


def test_a_source_that_is_none(lay, tmp_path):
    with pytest.raises(Fault, match="there is no such folder"):
        formats.read(tmp_path / "nowhere")
    with pytest.raises(Fault, match="there is no file in it"):
        formats.read(lay({"empty/": None}))
    with pytest.raises(Fault, match=r"a source is a folder, or a file that speaks of pictures \(\.csv"):
        formats.read(lay({"1.jpg": b""}) / "1.jpg")
    with pytest.raises(Fault, match=r"there is no format 'vok'.*Did you mean 'voc'"):
        formats.read(tmp_path, "vok")
    with pytest.raises(Fault, match="there is no picture in it"):
        formats.read(lay({"a.json": COCO | {"images": []}}) / "a.json")


@pytest.mark.parametrize(
    ("files", "gone", "format"),
    [
        ({"1.jpg": b"", "1.xml": XML}, "1.xml", "auto"),
        ({"1.jpg": b"", "1.xml": XML, "ImageSets/Main/train.txt": "1"}, "ImageSets/Main/train.txt", "voc"),
        ({"1.jpg": b"", "a.json": COCO}, "a.json", "coco"),
        ({"1.jpg": b"", "a.csv": "path,label\n1.jpg,cat\n"}, "a.csv", "csv"),
        ({"1.jpg": b"", "1.txt": ROW}, "1.txt", "yolo"),
        ({"1.jpg": b"", "1.txt": ROW, "data.yaml": "names: [cat]"}, "data.yaml", "auto"),
    ],
)
def test_a_file_of_labels_that_cannot_be_read_is_named(lay, monkeypatch, files, gone, format):
    source = lay(files)

    def walked(path):
        found = walk(path)
        (source / gone).unlink()  # a folder that denies access cannot be had in a test that runs as root
        return found

    monkeypatch.setattr(formats, "walk", walked)
    with pytest.raises(Fault, match=rf"{gone}: cannot be read \(No such file"):
        formats.read(source, format)


def test_links_that_lead_out_are_rejected_and_those_within_are_followed(lay, tmp_path):
    source = lay({"cat/1.jpg": b"", "dog/1.jpg": b""})
    (tmp_path / "out").mkdir()
    (tmp_path / "out/1.jpg").write_bytes(b"")
    (source / "cat/out.jpg").symlink_to(tmp_path / "out/1.jpg")
    (source / "dog/none.jpg").symlink_to(tmp_path / "out/2.jpg")
    (source / "dog/in.jpg").symlink_to(source / "cat/1.jpg")
    (source / "bird").symlink_to(tmp_path / "out")
    (source / "pet").symlink_to(source / "cat")
    found = formats.read(source)
    assert [image.name for image in found.images] == ["cat/1.jpg", "dog/1.jpg", "dog/in.jpg"]
    assert {(row.path, row.reason) for row in found.rejected} == {
        ("bird", "a link that leads outside the source folder"),
        ("cat/out.jpg", "a link that leads outside the source folder"),
        ("dog/none.jpg", "a link to nothing"),
        ("pet", "a link to a folder of the source; its pictures are taken from there"),
    }


def test_a_picture_that_is_named_and_is_a_link_out_is_one_row(lay, tmp_path):
    source = lay({"1.jpg": b"", "a.csv": "path,label\n1.jpg,cat\nout.jpg,cat\n"})
    (tmp_path / "secret.jpg").write_bytes(b"")
    (source / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    assert [(row.path, row.reason) for row in formats.read(source).rejected] == [
        ("out.jpg", "a link that leads outside the source folder")
    ]


def test_every_picture_of_a_folder_that_is_left_out_counts(lay):
    source = lay(
        {"cat/1.jpg": b"", "dog/1.jpg": b"", "bi\nrd/a/1.jpg": b"", "bi\nrd/2.JPG": b"", "bi\nrd/note.txt": b""}
    )
    found = formats.read(source)
    assert {(row.path, row.reason) for row in found.rejected} == {
        (path, "its name has a control character in it") for path in ("bi\nrd/a/1.jpg", "bi\nrd/2.JPG")
    }
    assert "Left out: 2, such as bi" in found.note
    shutil.rmtree(source / "dog")
    with pytest.raises(Fault, match=r"(?s)no known form.*Left out: 2, such as bi.rd/2\.JPG \(its name has a control"):
        formats.read(source)


def test_names_that_no_text_can_hold_are_rejected(lay):
    source = lay({"cat/1.jpg": b"", "dog/1.jpg": b""})
    (source / "cat/two\nlines.jpg").write_bytes(b"")
    try:
        Path(os.fsdecode(os.fsencode(source) + b"/cat/\xff.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert {(row.path, row.reason) for row in formats.read(source).rejected} == {
        ("cat/\\udcff.jpg", "its name is not UTF-8"),
        ("cat/two\nlines.jpg", "its name has a control character in it"),
    }
