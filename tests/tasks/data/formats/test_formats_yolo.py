"""YOLO."""

from __future__ import annotations

import pytest

from models.runtime.faults import Fault
from tasks.data import formats

ROW = "0 0.5 0.25 0.5 0.125\n"


def test_boxes_are_fractions(lay):
    found = formats.read(lay({"1.jpg": b"", "1.txt": ROW + "\n1 0.5 0.5 1 1\n", "classes.txt": "cat\n dog \n\n"}))
    assert (found.format, found.task, found.exclusive, found.concepts) == ("yolo", "detection", False, ("cat", "dog"))
    (image,) = found.images
    assert (image.name, image.where, image.relative, image.size) == ("1.jpg", "1.txt", True, None)
    assert image.boxes == ((0.25, 0.1875, 0.75, 0.3125), (0, 0, 1, 1))
    assert image.box_concepts == ("cat", "dog")
    assert image.box_where == ("1.txt:1", "1.txt:3")


def test_without_names_the_concepts_are_the_numbers(lay):
    found = formats.read(
        lay({"a/1.jpg": b"", "a/1.txt": "11 .5 .5 .1 .1\n2 .5 .5 .1 .1", "b/1.jpg": b"", "b/1.txt": ROW})
    )
    assert found.concepts == ("0", "11", "2")
    assert {image.name: image.box_concepts for image in found.images} == {"a/1.jpg": ("11", "2"), "b/1.jpg": ("0",)}
    assert "the concepts are the class numbers" in found.note


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("images/train/1.jpg", "labels/train/1.txt"),
        ("train/images/1.jpg", "train/labels/1.txt"),
        ("images/images/a/1.jpg", "images/labels/a/1.txt"),
        ("1.jpg", "labels/1.txt"),
        ("sub/a [1] ü.jpg", "sub/a [1] ü.txt"),
    ],
)
def test_labels_lie_beside_the_pictures_or_in_labels(lay, picture, label):
    found = formats.read(lay({picture: b"", label: ROW}))
    assert [(image.name, image.where, len(image.boxes)) for image in found.images] == [(picture, label, 1)]


def test_an_outline_is_read_as_its_box(lay):
    found = formats.read(lay({"1.jpg": b"", "1.txt": "0 .1 .2 .5 .1 .4 .6\n0 .1 .1 .2 .1 .2 .3 .1 .3"}))
    assert found.images[0].boxes == ((0.1, 0.1, 0.5, 0.6), (0.1, 0.1, 0.2, 0.3))


def test_keypoints_behind_a_box_are_passed_over(lay):
    data = "train: images\nkpt_shape: [2, 2]\nnames: [man]\n"
    found = formats.read(lay({"images/1.jpg": b"", "labels/1.txt": "0 .5 .5 .5 .5 .9 .9 .1 .1", "data.yaml": data}))
    assert found.images[0].boxes == ((0.25, 0.25, 0.75, 0.75),)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0 .5 .5 .1", "neither a box"),
        ("0 .5 .5 .1 .1 .9", "neither a box"),
        ("0 .5 .5 .1 .1 .9 .9 .9", "neither a box"),
        ("cat .5 .5 .1 .1", "not a row of numbers"),
        ("0 .5 nan .1 .1", "not a row of numbers"),
        ("1.5 .5 .5 .1 .1", "no class"),
        ("-1 .5 .5 .1 .1", "no class"),
        ("3 .5 .5 .1 .1", "no such class"),
        ("1 .5 .5 .1 .1", "no concept"),
        ("2 .5 .5 .1 .1", "no concept"),
    ],
)
def test_a_broken_row_is_rejected_and_the_others_stay(lay, row, reason):
    found = formats.read(
        lay({"1.jpg": b"", "1.txt": f"{ROW}{row}\n", "data.yaml": "names: [cat, '', \"\\0\"]\ntrain: .\n"})
    )
    assert found.images[0].box_concepts == ("cat",)
    (rejected,) = found.rejected
    assert (rejected.path, rejected.row, rejected.what) == ("1.jpg", "1.txt:2", "box")
    assert rejected.reason.startswith(reason)


def test_a_picture_without_a_label_file_is_empty_and_labels_without_a_picture_are_rejected(lay):
    files = {"images/1.jpg": b"", "images/2.jpg": b"", "images/3.jpg": b"", "labels/1.txt": ROW, "labels/2.txt": ""}
    found = formats.read(lay(files | {"labels/9.txt": ROW, "labels/classes.txt": "cat\n", "notes.txt": "x"}))
    assert [(image.name, len(image.boxes)) for image in found.images] == [
        ("images/1.jpg", 1),
        ("images/2.jpg", 0),
        ("images/3.jpg", 0),
    ]
    assert "1 pictures have none and count as empty" in found.note
    assert [(row.path, row.reason.partition(":")[0]) for row in found.rejected] == [("labels/9.txt", "missing")]


def labelled(*names: str) -> dict[str, object]:
    return {f"images/{name}.jpg": b"" for name in names} | {f"labels/{name}.txt": ROW for name in names}


@pytest.mark.parametrize(
    ("head", "train", "val"),
    [
        ("", "images/train", "images/val"),
        ("path: .\n", "./images/train/", "images/val"),
        ("path: ../datasets/things\n", "images/train", "images/val"),
        ("", "../images/train", "../images/val"),
        ("", "[images/train]", "[images/val]"),
        ("", "train.txt", "lists/val.txt"),
    ],
)
def test_data_yaml_says_the_splits(lay, head, train, val):
    lists = {"train.txt": "images/train/1.jpg\n", "lists/val.txt": "./images/val/1.jpg\r\n"}
    data = f"{head}train: {train}\nval: {val}\ntest:\nnames:\n  0: cat\n  1: dog\n"
    found = formats.read(lay(labelled("train/1", "val/1", "more/1") | lists | {"data.yaml": data}))
    assert found.concepts == ("cat", "dog")
    assert {image.name: image.split for image in found.images} == {
        "images/train/1.jpg": "train",
        "images/val/1.jpg": "val",
        "images/more/1.jpg": None,
    }
    assert found.rejected == ()


def test_what_data_yaml_names_wrongly_is_told(lay):
    data = 'train: images/train\nval: /etc\ntest: [images/nowhere, "\\ud800"]\nnames: [cat]\n'
    found = formats.read(lay(labelled("train/1") | {"images/plot.png": b"", "data.yaml": data}))
    assert {(row.path, row.row, row.reason) for row in found.rejected} == {
        ("data.yaml", "data.yaml:val", "lies outside the source folder: '/etc'"),
        ("images/plot.png", "", "no annotation: no label file, and in no split"),
    }
    assert r"test (images/nowhere) is not there, test (\ud800) is not there" in found.note


def test_the_same_folder_for_train_and_val_divides_nothing(lay):
    found = formats.read(lay(labelled("1", "2") | {"data.yaml": "train: images\nval: images\nnames: [cat]\n"}))
    assert {image.split for image in found.images} == {None}
    assert "val holds the same pictures as train" in found.note


def test_darknet_names_and_lists(lay):
    files = {f"obj_data/{n}.jpg": b"" for n in "123"} | {f"obj_data/{n}.txt": ROW for n in "123"}
    files["obj.data"] = "classes = 2\ntrain = data/train.txt\nvalid = data/holdout.txt\nnames = data/obj.names\n"
    files["train.txt"] = "data/obj_data/1.jpg\ndata/obj_data/2.jpg\ndata/obj_data/8.jpg\n../../x.jpg\n"
    files["holdout.txt"] = "data/obj_data/3.jpg\n"
    found = formats.read(lay(files | {"obj.names": "cat\ndog\n"}))
    assert found.concepts == ("cat", "dog")
    assert [image.split for image in found.images] == ["train", "train", "val"]
    assert [(row.path, row.row, row.what) for row in found.rejected] == [
        ("obj_data/8.jpg", "train.txt:3", "image"),
        ("../../x.jpg", "train.txt:4", "image"),
    ]


def test_folders_called_after_splits_are_the_splits(lay):
    found = formats.read(lay(labelled("train/1", "valid/1") | {"classes.txt": "cat\n"}))
    assert {image.name: image.split for image in found.images} == {
        "images/train/1.jpg": "train",
        "images/valid/1.jpg": "val",
    }


@pytest.mark.parametrize("names", ["[yes, no]", "[1.10]", "{a: cat}", "{-1: cat}"])
def test_names_that_yaml_reads_as_something_else_are_refused(lay, names):
    with pytest.raises(Fault, match=r"data\.yaml: names holds .* Quote names, and number them from 0"):
        formats.read(lay(labelled("1") | {"data.yaml": f"train: images\nnames: {names}\n"}))


def test_two_lists_of_names_and_two_data_files_are_refused(lay):
    source = lay(labelled("1") | {"classes.txt": "cat\n", "labels/classes.txt": "dog\n"})
    with pytest.raises(Fault, match=r"classes\.txt, labels/classes\.txt name the classes differently"):
        formats.read(source)
    lay({"a.yaml": "names: [cat]\ntrain: images\n", "b.yaml": "names: [dog]\ntrain: images\n"})
    with pytest.raises(Fault, match=r"a\.yaml, b\.yaml each describe a YOLO set"):
        formats.read(source)
    assert formats.read(source / "b.yaml").concepts == ("dog",)


def test_no_label_file_is_a_fault(lay):
    with pytest.raises(Fault, match="no picture has a label file, so it is not YOLO"):
        formats.read(lay({"1.jpg": b"", "data.yaml": "names: [cat]\ntrain: .\n"}))


def test_names_that_cannot_be_parsed_are_not_passed_over(lay):
    source = lay({"1.jpg": b"", "1.txt": ROW, "data.yaml": "names: [cat, dog\n"})
    with pytest.raises(Fault, match=r"data\.yaml: not YAML"):
        formats.read(source, "yolo")


def test_a_few_lines_that_mean_a_billion_names_are_refused_at_once(lay):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)]
    source = lay({"1.jpg": b"", "1.txt": ROW, "data.yaml": "\n".join([*lines, "names: *m"])})
    with pytest.raises(Fault, match=r"data\.yaml: names holds the name \[") as refused:
        formats.read(source, "yolo")
    assert len(str(refused.value)) < 1000
