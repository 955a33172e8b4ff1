"""A folder per class."""

from __future__ import annotations

import pytest

from models.runtime.faults import Fault
from tasks.data import formats


def test_the_folder_is_the_concept_and_what_is_deeper_stays_in_the_name(lay):
    source = lay({"hat/1.jpg": b"", "hat/old/1.jpg": b"", "shirt/1.JPG": b""})
    found = formats.read(source)
    assert (found.format, found.task, found.exclusive, found.concepts) == (
        "folder",
        "classification",
        True,
        ("hat", "shirt"),
    )
    assert [(image.name, image.concepts, image.split) for image in found.images] == [
        ("hat/1.jpg", ("hat",), None),
        ("hat/old/1.jpg", ("hat",), None),
        ("shirt/1.JPG", ("shirt",), None),
    ]
    assert found.images[0].file == source / "hat/1.jpg"
    assert found.rejected == ()
    assert "3 pictures in 2 class folders" in found.note


def test_split_folders_above_are_the_splits(lay):
    source = lay({f"{split}/{name}/1.png": b"" for split in ("train", "validation", "test") for name in "ab"})
    found = formats.read(source)
    assert {image.name: image.split for image in found.images} == {
        "train/a/1.png": "train",
        "train/b/1.png": "train",
        "validation/a/1.png": "val",
        "validation/b/1.png": "val",
        "test/a/1.png": "test",
        "test/b/1.png": "test",
    }
    assert found.concepts == ("a", "b")


def test_train_is_a_class_among_classes(lay):
    found = formats.read(lay({"bus/1.jpg": b"", "train/1.jpg": b"", "car/1.jpg": b""}))
    assert found.concepts == ("bus", "car", "train")
    assert {image.split for image in found.images} == {None}


def test_a_stray_folder_beside_two_splits_does_not_make_them_classes(lay):
    splits = {f"{split}/{name}/1.png": b"" for split in ("train", "val") for name in "ab"}
    found = formats.read(lay(splits | {"misc/1.png": b"", "misc/c/1.png": b"", "misc/d/": None, "train/e/": None}))
    assert found.format == "folder" and found.concepts == ("a", "b", "e")
    assert {image.name: image.split for image in found.images} == {path: path.split("/")[0] for path in splits}
    assert [(row.path, row.reason) for row in found.rejected] == [
        (path, "no concept: it lies in no class folder") for path in ("misc/1.png", "misc/c/1.png")
    ]


def test_folders_called_after_splits_that_hold_pictures_themselves_are_classes(lay):
    found = formats.read(lay({"bus/1.jpg": b"", "train/1.jpg": b"", "test/1.jpg": b""}))
    assert found.concepts == ("bus", "test", "train")


def test_a_lone_split_folder_divides_nothing(lay):
    found = formats.read(lay({"train/a/1.jpg": b"", "train/b/1.jpg": b""}))
    assert {image.split for image in found.images} == {None}
    assert "train is the only split" in found.note


def test_a_folder_around_the_class_folders_is_looked_through(lay):
    found = formats.read(lay({"images/ramen/1.jpg": b"", "images/soup/1.jpg": b"", "meta/classes.txt": "ramen"}))
    assert found.concepts == ("ramen", "soup")
    assert [image.name for image in found.images] == ["images/ramen/1.jpg", "images/soup/1.jpg"]


def test_an_empty_class_folder_is_a_concept_without_pictures(lay):
    found = formats.read(lay({"hat/1.jpg": b"", "shirt/1.jpg": b"", "shoe/": None}))
    assert found.concepts == ("hat", "shirt", "shoe")


def test_strangers_are_rejected_and_texts_beside_are_counted(lay):
    files = {"hat/1.jpg": b"", "shirt/1.jpg": b"", "hat/2.psd": b"", "3.jpg": b"", "hat/4.HEIC": b""}
    beside = {"README.md": "", "LICENSE": "", "hat/notes.txt": "", "x.csv": "a,b", ".DS_Store": b"", ".git/1.jpg": b""}
    found = formats.read(lay(files | beside))
    assert {(row.path, row.what, row.reason.partition(":")[0]) for row in found.rejected} == {
        ("hat/2.psd", "image", "not an image"),
        ("hat/4.HEIC", "image", "not an image"),
        ("3.jpg", "image", "no concept"),
    }
    assert "4 text files" in found.note
    assert len(found.images) == 2


def test_names_of_every_kind_are_kept_and_a_concept_is_one_however_it_is_composed(lay):
    found = formats.read(lay({"cafe\u0301/a (1) [x].jpg": b"", "caf\u00e9 /名前.jpg": b"", "b/1.jpg": b""}))
    assert found.concepts == ("b", "caf\u00e9")
    assert [image.name for image in found.images] == ["b/1.jpg", "cafe\u0301/a (1) [x].jpg", "caf\u00e9 /名前.jpg"]


def test_asked_for_it_takes_one_class_too_but_not_none(lay):
    source = lay({"hat/1.jpg": b""})
    assert formats.read(source, "folder").concepts == ("hat",)
    with pytest.raises(Fault, match="no known form of labelled pictures"):
        formats.read(source)
    (source / "hat/1.jpg").rename(source / "1.jpg")
    with pytest.raises(Fault, match=r"no picture in a class folder .* There is: 1 \.jpg"):
        formats.read(source, "folder")
