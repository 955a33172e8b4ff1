"""Writing a dataset in a format, and reading it back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.runtime.faults import Fault
from tasks.data import formats
from tasks.data.annotations import Annotation

# Numbers that only survive with all their digits: no short decimal, sums that round, whole ones.
BOXES = ((0.1, 1 / 3, 101.33, 20.0), (1e-9, 2.0, 33.333333333333336, 79.99999999999999), (5.0, 6.0, 7.0, 8.0))
NAMES = ["a b [1] (2).jpg", "名前/1.jpg", "é/1.JPG", "train/é/1.jpg", "images/x/1.png", "z'\"&<>.jpg"]


def boxed(image: str, split: str, *boxes: tuple[float, ...], concepts: tuple[str, ...] = (), **more) -> Annotation:
    count = len(boxes)
    own: dict = {
        "areas": tuple((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes),
        "crowd": (False,) * count,
        "difficult": (False,) * count,
    }
    return Annotation(
        image, "0" * 64, 120, 80, split, boxes=boxes, box_concepts=concepts or ("cat",) * count, **own | more
    )


def detections() -> list[Annotation]:
    splits = ("train", "val", "test")
    some = [boxed(name, splits[i % 3], *BOXES[: i % 4]) for i, name in enumerate(NAMES)]
    return [*some, boxed("more.jpg", "train", *BOXES[:2], concepts=("<b> & ü", "cat"), difficult=(True, False))]


def back(source: formats.Source) -> dict[bytes, tuple]:
    """By the picture's bytes (which are its first name): split, concepts, boxes, their concepts, difficult."""
    return {
        image.file.read_bytes(): (image.split, image.concepts, image.boxes, image.box_concepts, image.difficult)
        for image in source.images
    }


def told(annotations: list[Annotation]) -> dict[bytes, tuple]:
    return {
        entry.image.encode(): (entry.split, entry.concepts, entry.boxes, entry.box_concepts, entry.difficult)
        for entry in annotations
    }


@pytest.mark.parametrize("format", ["voc", "coco"])
def test_boxes_come_back_exactly(dataset, tmp_path, format):
    things = dataset(*detections())
    written = formats.write(things, format, tmp_path / "out")
    assert (written.folder, written.lost) == (tmp_path / "out", ())
    assert written.files == sum(path.is_file() for path in (tmp_path / "out").rglob("*"))
    found = formats.read(tmp_path / "out")
    assert (found.format, found.rejected, found.concepts) == (format, (), things.concepts)
    assert {image.size for image in found.images} == {(120, 80)}
    assert back(found) == told(detections())


def test_yolo_comes_back_within_a_billionth(dataset, tmp_path):
    written = formats.write(dataset(*detections(), concepts=("<b> & ü", "cat", "no", "9")), "yolo", tmp_path / "out")
    assert written.lost == ("the mark of 1 boxes that are difficult (voc and coco keep it)",)
    found = formats.read(tmp_path / "out")
    assert (found.format, found.rejected, found.concepts) == ("yolo", (), ("9", "<b> & ü", "cat", "no"))
    expected, answered = told(detections()), back(found)
    assert answered.keys() == expected.keys()
    for name, (split, concepts, boxes, box_concepts, _) in expected.items():
        assert answered[name][:2] == (split, concepts)
        assert answered[name][3] == box_concepts
        for box, fractions in zip(boxes, answered[name][2], strict=True):
            assert [v * s for v, s in zip(fractions, (120, 80) * 2, strict=True)] == pytest.approx(
                box, rel=0, abs=1e-9 * 80
            )


def test_coco_keeps_crowds_areas_metadata_and_unused_concepts(dataset, tmp_path):
    entry = boxed(
        "1.jpg", "val", BOXES[2], areas=(3.25,), crowd=(True,), metadata={"license": 2, "é": [None, {"a": 1}]}
    )
    assert formats.write(dataset(entry, concepts=("cat", "unused")), "coco", tmp_path / "out").lost == ()
    found = formats.read(tmp_path / "out")
    assert found.concepts == ("cat", "unused")
    (image,) = found.images
    assert (image.areas, image.crowd, image.metadata, image.split) == ((3.25,), (True,), entry.metadata, "val")


def test_what_a_format_cannot_hold_is_said(dataset, tmp_path):
    entry = boxed("1.jpg", "val", BOXES[2], areas=(3.25,), crowd=(True,), metadata={"id": 2})
    things = dataset(entry, concepts=("cat", "unused"))
    assert formats.write(things, "coco", tmp_path / "coco").lost == (
        "metadata called id, file_name, width, height of 1 images",
    )
    voc, yolo = (" ".join(formats.write(things, name, tmp_path / name).lost) for name in ("voc", "yolo"))
    for sentence in ("1 boxes that are crowds", "areas of 1 boxes", "metadata of 1 images"):
        assert sentence in voc
        assert sentence in yolo
    assert "concepts that no box has: unused" in voc
    assert "unused" not in yolo


def classified(image: str, split: str, *concepts: str, **more) -> Annotation:
    return Annotation(image, "0" * 64, 4, 4, split, concepts=concepts, **more)


def classes() -> list[Annotation]:
    splits = ("train", "val", "test")
    some = [classified(name, splits[i % 3], ("cat", "hot dog", "ü")[i // 2]) for i, name in enumerate(NAMES)]
    return [*some, classified("cat/1.jpg", "train", "cat"), classified("ü/1.jpg", "train", "ü")]


@pytest.mark.parametrize("format", ["folder", "csv"])
def test_classes_come_back(dataset, tmp_path, format):
    written = formats.write(dataset(*classes(), task="classification"), format, tmp_path / "out")
    assert written.lost == ()
    found = formats.read(tmp_path / "out")
    assert (found.format, found.rejected, found.exclusive) == (format, (), True)
    assert found.concepts == ("cat", "hot dog", "ü")
    assert back(found) == told(classes())


def test_folders_keep_concepts_without_pictures_and_lone_splits(dataset, tmp_path):
    entry = classified("1.jpg", "test", "cat", metadata={"a": 1})
    things = dataset(entry, task="classification", concepts=("cat", "dog"))
    assert formats.write(things, "folder", tmp_path / "out").lost == ("the metadata of 1 images (csv keeps it)",)
    found = formats.read(tmp_path / "out", "folder")
    assert (found.concepts, found.images[0].split) == (("cat", "dog"), "test")


def test_csv_keeps_several_concepts_and_metadata(dataset, tmp_path):
    metadata = {"a": [1, None, "é"], "geopoints": {"longitude": 1.5, "latitude": 2.0}}
    entries = [classified("1.jpg", "train", "cat", "dog", metadata=metadata), classified("2.jpg", "test", "dog")]
    formats.write(dataset(*entries, task="classification"), "csv", tmp_path / "out")
    found = formats.read(tmp_path / "out")
    assert back(found) == told(entries)
    assert found.images[0].metadata == metadata


def test_exported_read_and_exported_again_the_names_are_the_same(dataset, tmp_path):
    for format, entries, task in (
        ("voc", detections(), "detection"),
        ("coco", detections(), "detection"),
        ("yolo", detections(), "detection"),
        ("folder", classes(), "classification"),
        ("csv", classes(), "classification"),
    ):
        formats.write(dataset(*entries, task=task), format, tmp_path / format)
        found = formats.read(tmp_path / format)
        make = boxed if task == "detection" else classified
        again = dataset(*(make(i.name, i.split, *i.concepts) for i in found.images), task=task)
        formats.write(again, format, tmp_path / f"{format}2")
        assert pictures(tmp_path / format) == pictures(tmp_path / f"{format}2")


def pictures(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png")
    )


@pytest.mark.parametrize("format", ["voc", "yolo"])
def test_two_pictures_of_one_stem_keep_their_own_labels(dataset, tmp_path, format):
    entries = [boxed("a/1.jpg", "train", BOXES[2]), boxed("a/1.png", "train"), boxed("a/1_png.jpg", "train")]
    written = formats.write(dataset(*entries), format, tmp_path / "out")
    assert written.lost == ("'a/1.png' is called 'a/1_png_png.png'",)
    found = formats.read(tmp_path / "out")
    assert {image.file.read_bytes(): len(image.boxes) for image in found.images} == {
        b"a/1.jpg": 1,
        b"a/1.png": 0,
        b"a/1_png.jpg": 0,
    }


def test_what_a_format_cannot_hold_at_all_is_refused(dataset, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(
        Fault, match=r"folder holds concepts of whole pictures and no boxes.*--format voc or --format coco"
    ):
        formats.write(dataset(*detections()), "folder", out)
    with pytest.raises(Fault, match=r"voc holds boxes and no picture's concepts.*--format csv or --format folder"):
        formats.write(dataset(*classes(), task="classification"), "voc", out)
    with pytest.raises(Fault, match=r"1\.jpg has 2 concepts \(cat, dog\), and a folder per class holds exactly one"):
        formats.write(dataset(classified("1.jpg", "train", "cat", "dog"), task="classification"), "folder", out)
    with pytest.raises(Fault, match="the concept 'cat/dog' cannot be a folder's name"):
        formats.write(dataset(classified("1.jpg", "train", "cat/dog"), task="classification"), "folder", out)
    with pytest.raises(Fault, match="the concept 'cat;dog' has a separator"):
        formats.write(dataset(classified("1.jpg", "train", "cat;dog", "x"), task="classification"), "csv", out)
    with pytest.raises(Fault, match="there is no format 'pascal'"):
        formats.write(dataset(*detections()), "pascal", out)
    assert not out.exists()


def test_only_a_new_or_empty_folder_outside_the_dataset_is_written(dataset, tmp_path, workspace):
    things = dataset(*detections())
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(Fault, match="is there already, and is not an empty folder"):
        formats.write(things, "coco", tmp_path / "full")
    with pytest.raises(Fault, match="lies in the dataset itself"):
        formats.write(things, "coco", things.folder / "export")
    with pytest.raises(Fault, match="lies in data/, which holds the current versions"):
        formats.write(things, "coco", workspace / "data" / "other")
    (tmp_path / "empty").mkdir()
    formats.write(things, "coco", tmp_path / "empty")
    formats.write(things, "coco", tmp_path / "new/deep")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["deep"]


def test_another_folder_is_advised_where_the_folder_is_at_fault(dataset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    things = dataset(*detections())
    with monkeypatch.context() as patch:
        patch.setattr(os, "sendfile", full)
        with pytest.raises(Fault, match=r"/out: cannot be read or written \(No space .*\)\. Choose another folder\.$"):
            formats.write(things, "coco", tmp_path / "out")
    picture = things.path(things.annotations[-1])
    picture.unlink()
    picture.mkdir()
    with pytest.raises(Fault, match=r"\.jpg: cannot be read or written \(Is a directory\)\.$"):
        formats.write(things, "coco", tmp_path / "out")


def test_a_missing_picture_leaves_nothing_behind(dataset, tmp_path):
    things = dataset(*detections())
    things.path(things.annotations[-1]).unlink()
    with pytest.raises(Fault, match=r"there is no such picture, but annotations\.jsonl names it"):
        formats.write(things, "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
