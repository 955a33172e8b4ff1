"""COCO JSON."""

from __future__ import annotations

import math

import pytest

from models.runtime.faults import Fault
from tasks.data import formats
from tasks.data.formats.coco_writer import length

CATEGORIES = [{"id": 90, "name": "cat"}, {"id": 7, "name": "dog"}]


def coco(images: list, annotations: list, categories: list = CATEGORIES) -> dict:
    return {"images": images, "annotations": annotations, "categories": categories}


def image(identity: object, name: str, **more: object) -> dict:
    return {"id": identity, "file_name": name, **more}


def box(identity: object, image: object, category: object = 7, bbox: object = (1, 2, 3, 4), **more: object) -> dict:
    return {"id": identity, "image_id": image, "category_id": category, "bbox": bbox, **more}


def test_boxes_areas_and_marks(lay):
    rows = [
        box(5, "a", 90, [1.5, 2, 10, 20.25], area=12.5, iscrowd=0, segmentation=[[1, 2, 3]]),
        box(6, "a", 7, iscrowd=1, ignore=1),
    ]
    entry = image("a", "1.jpg", width=100, height=80, license=3, flickr_url="f")
    found = formats.read(lay({"images/1.jpg": b"", "annotations/labels.json": coco([entry], rows)}))
    assert (found.format, found.task, found.exclusive, found.concepts) == ("coco", "detection", False, ("cat", "dog"))
    (one,) = found.images
    assert (one.name, one.where, one.size) == ("images/1.jpg", "annotations/labels.json#a", (100, 80))
    assert one.boxes == ((1.5, 2, 11.5, 22.25), (1, 2, 4, 6))
    assert (one.areas, one.box_concepts) == ((12.5, None), ("cat", "dog"))
    assert (one.crowd, one.difficult) == ((False, True), (False, True))
    assert one.box_where == ("annotations/labels.json#5", "annotations/labels.json#6")
    assert one.metadata == {"license": 3, "flickr_url": "f"}


def test_an_image_without_annotations_is_kept_and_an_unnamed_picture_is_rejected(lay):
    found = formats.read(lay({"1.jpg": b"", "2.jpg": b"", "x.json": coco([image(1, "1.jpg")], [])}))
    assert [(one.name, one.boxes) for one in found.images] == [("1.jpg", ())]
    assert [(row.path, row.reason) for row in found.rejected] == [("2.jpg", "no annotation: no COCO file names it")]


@pytest.mark.parametrize(
    ("json", "picture"),
    [
        ("x.json", "1.jpg"),
        ("annotations/x.json", "1.jpg"),
        ("annotations/x.json", "images/1.jpg"),
        ("annotations/instances_train2017.json", "train2017/1.jpg"),
        ("annotations/instances_val2017.json", "images/val2017/1.jpg"),
        ("train/_annotations.coco.json", "train/1.jpg"),
        ("x.json", "some/where/deep/1.jpg"),
        ("x.JSON", "images/1.JPG"),
    ],
)
def test_pictures_are_found_beside_above_and_below(lay, json, picture):
    found = formats.read(lay({picture: b"", json: coco([image(1, "1.jpg")], [])}))
    assert [one.name for one in found.images] == [picture]
    assert found.rejected == ()


def test_a_missing_picture_is_not_replaced_by_its_namesake_elsewhere(lay):
    entries = [image(1, "a/1.jpg"), image(2, "1.jpg")]
    found = formats.read(lay({"images/a/1.jpg": b"", "x.json": coco(entries, [box(1, 2)])}))
    assert [(one.name, one.boxes) for one in found.images] == [("images/a/1.jpg", ())]
    assert [(row.path, row.row, row.what, row.reason) for row in found.rejected] == [
        ("images/1.jpg", "x.json#2", "image", "missing: there is no such file")
    ]


def test_the_same_base_name_in_each_split(lay):
    files = {}
    for number, split in enumerate(("train", "valid", "test"), 1):
        files[f"{split}/1.jpg"] = b""
        files[f"{split}/_annotations.coco.json"] = coco([image(1, "1.jpg")], [box(1, 1, bbox=[0, 0, number, 1])])
    found = formats.read(lay(files))
    assert {one.name: (one.split, one.boxes[0][2]) for one in found.images} == {
        "train/1.jpg": ("train", 1),
        "valid/1.jpg": ("val", 2),
        "test/1.jpg": ("test", 3),
    }


def test_the_split_is_in_the_name_of_the_file(lay):
    files = {f"{n}.jpg": b"" for n in "12"}
    train, val = coco([image(1, "1.jpg")], []), coco([image(1, "2.jpg")], [])
    found = formats.read(lay(files | {"instances_train2017.json": train, "instances_val2017.json": val}))
    assert {one.name: one.split for one in found.images} == {"1.jpg": "train", "2.jpg": "val"}


def test_one_picture_in_two_files_has_the_boxes_of_both_each_once(lay):
    cats = coco([image(1, "1.jpg")], [box(1, 1, 90), box(2, 1, 90, (5, 5, 1, 1))])
    dogs = coco([image(9, "1.jpg")], [box(1, 9, 7), box(2, 9, 90)])
    found = formats.read(lay({"1.jpg": b"", "a.json": cats, "b.json": dogs}))
    assert found.images[0].box_concepts == ("cat", "cat", "dog")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (box(5, 1, 3), "no such category: 3"),
        (box(5, 1, None), "no such category: None"),
        (box(5, 1, bbox=[1, 2, 3]), "no box: bbox is [1, 2, 3], not four numbers"),
        (box(5, 1, bbox=None), "no box: bbox is None"),
        (box(5, 1, bbox=[1, 2, "3", 4]), "no box: bbox is [1, 2, '3', 4]"),
        (box(5, 1, bbox=[1, 2, float("nan"), 4]), "no box: bbox is [1, 2, None, 4]"),
        (box(5, 1, bbox=[1, 2, 10**400, 4]), "no box: bbox is"),
    ],
)
def test_a_broken_annotation_is_rejected_and_the_others_stay(lay, row, reason):
    found = formats.read(lay({"1.jpg": b"", "x.json": coco([image(1, "1.jpg")], [row, box(6, 1)])}))
    assert found.images[0].box_concepts == ("dog",)
    (rejected,) = found.rejected
    assert (rejected.path, rejected.row, rejected.what) == ("1.jpg", "x.json#5", "box")
    assert rejected.reason.startswith(reason)


def test_entries_that_are_none_are_rejected(lay):
    images = [image(1, "1.jpg"), image(1, "2.jpg"), {"id": 3}, "?", image(4, "../out.jpg"), image(5, "/etc/x.jpg")]
    rows = [box(1, 8), "?", box(2, 3), box(3, 4)]
    source = lay({"1.jpg": b"", "2.jpg": b"", "x.json": coco(images, rows, [*CATEGORIES, {"id": 7}, {"name": "x"}])})
    (source.parent / "out.jpg").write_bytes(b"")
    found = formats.read(source)
    assert [one.name for one in found.images] == ["1.jpg"]
    assert [row.what for row in found.rejected if row.reason.startswith("no such image")] == ["box", "box"]
    rows = {(row.row, row.reason.partition(":")[0]) for row in found.rejected if row.row}
    assert rows == {
        ("x.json#category 3", "not a category"),
        ("x.json#category 4", "not a category"),
        ("x.json#image 2", "a second image"),
        ("x.json#image 3", "no id or no file_name"),
        ("x.json#image 4", "no id or no file_name"),
        ("x.json#4", "lies outside the source folder"),
        ("x.json#5", "lies outside the source folder"),
        ("x.json#1", "no such image"),
        ("x.json#annotation 2", "no such image"),
    }


def test_numbers_and_letters_that_no_file_can_hold(lay):
    text = """{"images": [{"id": 1, "file_name": "1.jpg", "gain": 1e999, "at": NaN, "\\ud800": 1},
        {"id": "\\ud800", "file_name": "\\ud800"},
        {"id": 2, "file_name": "2.jpg", "by": "\\ud800"}], "annotations": [],
        "categories": [{"id": 1, "name": "\\ud800"}]}"""
    text = text.replace('"by"', f'"deep": {"[" * 99 + "]" * 99}, "by"')
    found = formats.read(lay({"1.jpg": b"", "2.jpg": b"", "x.json": text}))
    assert {image.name: image.metadata for image in found.images} == {
        "1.jpg": {"gain": None, "at": None},
        "2.jpg": {"by": None, "deep": None},
    }
    assert {(row.path, row.row, row.reason.partition(":")[0]) for row in found.rejected} == {
        ("\\ud800", "x.json#\\ud800", "missing"),
        ("x.json", "x.json#category 1", "no concept"),
    }


def test_predictions_captions_and_keypoints_are_not_labels(lay):
    labels = coco([image(1, "1.jpg")], [box(1, 1)])
    scored = coco([image(1, "1.jpg")], [box(1, 1, 90, score=0.5)])
    people = coco([image(1, "1.jpg")], [box(1, 1, 90)])
    captions = {"images": [], "annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}]}
    files = {"1.jpg": b"", "instances_a.json": labels, "results.json": scored, "person_keypoints_a.json": people}
    found = formats.read(lay(files | {"captions_a.json": captions}))
    assert found.images[0].box_concepts == ("dog",)
    assert "not used: results.json" in found.note


def test_a_file_that_cannot_be_parsed(lay):
    source = lay({"1.jpg": b"", "a.json": coco([image(1, "1.jpg")], []), "b.json": "{"})
    assert [(row.path, row.reason.partition(":")[0]) for row in formats.read(source).rejected] == [
        ("b.json", "broken JSON")
    ]
    (source / "a.json").unlink()
    with pytest.raises(Fault, match=r"no \.json that holds the lists images, .* b\.json: broken JSON"):
        formats.read(source, "coco")


def test_one_file_may_be_the_source(lay):
    one = coco([image(1, "1.jpg")], [])
    source = lay({"1.jpg": b"", "2.jpg": b"", "a.json": one, "b.json": coco([image(1, "2.jpg")], [])})
    found = formats.read(source / "a.json")
    assert ([one.name for one in found.images], found.rejected) == (["1.jpg"], ())


@pytest.mark.parametrize(
    ("start", "said"), [(1.23, 100.1), (0.0, 0.1), (412.8, 53.05), (199.84, 200.61), (1e-9, 3.0), (0.1, 0.2)]
)
def test_a_written_width_is_the_one_that_was_read(start, said):
    assert length(start, start + said) == said


def test_a_written_width_always_leads_to_the_same_edge():
    for i in range(1, 2000):
        start, width = i / 7, (i * 37 % 1000) / 3 + 0.01
        assert start + length(start, start + width) == start + width


def test_an_edge_that_no_width_leads_to_moves_by_the_last_bit():
    start, end = 8.142857142857142, 44.48619047619048
    near = start + length(start, end)
    assert abs(near - end) == math.ulp(end)
