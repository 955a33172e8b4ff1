"""Pascal VOC."""

from __future__ import annotations

import pytest

from models.runtime.faults import Fault
from tasks.data import formats


def xml(*things: str, filename: str = "", size: tuple[object, object] = (100, 80)) -> str:
    head = f"<filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation>{head}{''.join(things)}</annotation>"


def thing(name: str, *box: object, more: str = "") -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    return f"<object><name>{name}</name>{more}<bndbox>{''.join(f'<{s}>{v}</{s}>' for s, v in sides)}</bndbox></object>"


def test_boxes_are_kept_as_said(lay):
    text = xml(thing("cat", 1, 2.5, "30 ", 40), thing(" dog ", 5, 6, 7, 8, more="<difficult>1</difficult>"))
    found = formats.read(lay({"JPEGImages/1.jpg": b"", "Annotations/1.xml": text}))
    assert (found.format, found.task, found.exclusive, found.concepts) == ("voc", "detection", False, ("cat", "dog"))
    (image,) = found.images
    assert (image.name, image.where, image.size) == ("JPEGImages/1.jpg", "Annotations/1.xml", (100, 80))
    assert image.boxes == ((1.0, 2.5, 30.0, 40.0), (5.0, 6.0, 7.0, 8.0))
    assert image.box_concepts == ("cat", "dog")
    assert image.difficult == (False, True)
    assert image.areas == (None, None)
    assert image.box_where == ("Annotations/1.xml#object 1", "Annotations/1.xml#object 2")


def test_parts_of_a_thing_are_not_its_box(lay):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    found = formats.read(lay({"1.jpg": b"", "1.xml": xml(thing("man", 3, 4, 5, 6, more=part))}))
    assert found.images[0].boxes == ((3, 4, 5, 6),)
    assert found.concepts == ("man",)


@pytest.mark.parametrize("size", [("", ""), (-1, 5), ("wide", 5)])
def test_a_size_that_is_none_is_none(lay, size):
    assert formats.read(lay({"1.jpg": b"", "1.xml": xml(size=size)})).images[0].size is None


def test_a_size_of_zero_is_passed_on_so_that_the_report_can_say_so(lay):
    assert formats.read(lay({"1.jpg": b"", "1.xml": xml(size=(0, 0))})).images[0].size == (0, 0)


def test_an_xml_without_an_object_is_an_image_without_boxes(lay):
    found = formats.read(lay({"1.jpg": b"", "1.xml": xml()}))
    assert [(image.name, image.boxes) for image in found.images] == [("1.jpg", ())]
    assert found.rejected == ()


def test_what_lacks_its_other_half_is_rejected(lay):
    source = lay({"1.jpg": b"", "1.xml": xml(), "2.jpg": b"", "3.xml": xml(filename="3.jpg")})
    found = formats.read(source)
    assert [image.name for image in found.images] == ["1.jpg"]
    assert [(row.path, row.what, row.reason.partition(":")[0]) for row in found.rejected] == [
        ("3.xml", "image", "missing"),
        ("2.jpg", "image", "no annotation"),
    ]


@pytest.mark.parametrize("filename", ["", "other.jpg", "1", "1.jpg", "1.PNG", "C:\\old\\1.bmp"])
def test_the_picture_is_the_one_of_its_stem_whatever_the_filename_says(lay, filename):
    files = {"JPEGImages/1.JPG": b"", "JPEGImages/other.jpg": b"", "Annotations/1.xml": xml(filename=filename)}
    assert [image.name for image in formats.read(lay(files)).images] == ["JPEGImages/1.JPG"]


def test_the_filename_decides_where_the_stem_does_not(lay):
    files = {
        "a.jpg": b"",
        "a.png": b"",
        "a.xml": xml(filename="a.png"),
        "photo.jpg": b"",
        "label7.xml": xml(filename="photo.jpg"),
    }
    found = formats.read(lay(files))
    assert {image.where: image.name for image in found.images} == {"a.xml": "a.png", "label7.xml": "photo.jpg"}
    assert [row.path for row in found.rejected] == ["a.jpg"]


def test_two_pictures_of_one_stem_and_no_filename_are_ambiguous(lay):
    found = formats.read(lay({"a.jpg": b"", "a.png": b"", "a.xml": xml()}))
    assert found.images == ()
    assert "ambiguous: its picture could be any of a.jpg, a.png" in found.rejected[0].reason


def test_the_same_base_name_in_several_folders(lay):
    files = {f"{kind}/{sub}/1.{end}": text for sub in "ab" for kind, end, text in (
        ("images", "jpg", b""), ("annotations", "xml", xml(thing(sub, 1, 1, 2, 2))))}  # fmt: skip
    found = formats.read(lay(files))
    assert {image.name: image.box_concepts for image in found.images} == {
        "images/a/1.jpg": ("a",),
        "images/b/1.jpg": ("b",),
    }


def test_no_picture_is_taken_from_another_place_than_its_own(lay):
    files = {"train/1.jpg": b"", "train/1.xml": xml(), "test/2.jpg": b"", "test/2.xml": xml(), "test/1.xml": xml()}
    found = formats.read(lay(files))
    assert [(row.path, row.reason.partition(":")[0]) for row in found.rejected] == [("test/1.xml", "missing")]
    assert {image.where: image.split for image in found.images} == {"train/1.xml": "train", "test/2.xml": "test"}


def test_two_annotations_of_one_picture(lay):
    found = formats.read(lay({"1.jpg": b"", "1.xml": xml(thing("a", 1, 1, 2, 2)), "again.xml": xml(filename="1.jpg")}))
    assert len(found.images) == 1
    assert [(row.path, row.row) for row in found.rejected] == [("1.jpg", "again.xml")]
    assert "1.xml speaks of this picture already" in found.rejected[0].reason


def listed(**lists: str) -> dict[str, object]:
    pictures = {f"JPEGImages/{n}.jpg": b"" for n in "123"} | {f"Annotations/{n}.xml": xml() for n in "123"}
    return pictures | {f"ImageSets/Main/{name}.txt": text for name, text in lists.items()}


@pytest.mark.parametrize(
    ("lists", "splits"),
    [
        ({"train": "1\n", "val": "2\n", "test": "3\n", "trainval": "1\n2\n3\n"}, ["train", "val", "test"]),
        ({"trainval": "1\n2\n", "test": "3\n"}, ["train", "train", "test"]),
        ({"train": "1\n", "trainval": "1\n2\n", "test": "3\n"}, ["train", "val", "test"]),
        ({"train2017": "1.jpg\r\n", "val2017": "2.jpg\r\n"}, ["train", "val", None]),
        ({"train": "1\n2\n3\n", "val": "", "test": ""}, ["train", "train", "train"]),
        ({"train": "1\n2\n", "test": "2\n3\n"}, ["train", "test", "test"]),
        ({"train": "1\n2\n3\n"}, [None, None, None]),
        ({"cat_train": "1 1\n2 -1\n", "default": "1\n"}, [None, None, None]),
    ],
)
def test_the_lists_are_the_splits(lay, lists, splits):
    found = formats.read(lay(listed(**lists)))
    assert [image.split for image in found.images] == splits
    assert found.rejected == ()


def test_a_list_that_names_what_is_not_there(lay):
    found = formats.read(lay(listed(train="1\n9\n", test="2\n")))
    assert [(row.path, row.row, row.what) for row in found.rejected] == [
        ("ImageSets/Main/train.txt", "ImageSets/Main/train.txt:2", "row")
    ]
    assert "missing: '9' is listed" in found.rejected[0].reason


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (thing("cat", 1, 2, "x", 4), r"not a number: <xmax> is 'x'"),
        (thing("cat", 1, 2, "nan", 4), r"not a finite number: <xmax> is 'nan'"),
        (thing("", 1, 2, 3, 4), "no concept"),
        ("<object><name>cat</name></object>", "no box: there is no <bndbox>"),
    ],
)
def test_a_broken_box_is_rejected_and_the_others_stay(lay, broken, reason):
    found = formats.read(lay({"1.jpg": b"", "1.xml": xml(broken, thing("dog", 1, 2, 3, 4))}))
    assert found.images[0].box_concepts == ("dog",)
    (row,) = found.rejected
    assert (row.path, row.row, row.what) == ("1.jpg", "1.xml#object 1", "box")
    assert row.reason.startswith(reason)


ENTITIES = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><annotation><filename>&y;</filename></annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ENTITIES, "unsafe XML"),
        (OUTSIDE, "unsafe XML"),
        ('<!DOCTYPE annotation SYSTEM "http://127.0.0.1/x.dtd"><annotation/>', "unsafe XML"),
        ("<annotation><object>", "broken XML"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "broken XML"),
        ("", "broken XML"),
        ("<html/>", "not an annotation"),
    ],
)
def test_an_xml_that_cannot_be_trusted_or_read_is_rejected(lay, text, reason):
    found = formats.read(lay({"1.jpg": b"", "1.xml": text, "2.jpg": b"", "2.xml": xml()}))
    assert [image.name for image in found.images] == ["2.jpg"]
    (row,) = found.rejected
    assert (row.path, row.row, row.what, row.reason.partition(":")[0]) == ("1.jpg", "1.xml", "annotation", reason)


@pytest.mark.parametrize("filename", ["../secret.jpg", "/etc/passwd.jpg", "..\\secret.jpg"])
def test_no_filename_leads_out(lay, filename):
    source = lay({"JPEGImages/1.jpg": b"", "Annotations/1.xml": xml(), "Annotations/x.xml": xml(filename=filename)})
    (source.parent / "secret.jpg").write_bytes(b"")
    found = formats.read(source)
    assert [image.name for image in found.images] == ["JPEGImages/1.jpg"]
    assert [(row.path, row.reason.partition(":")[0]) for row in found.rejected] == [
        ("Annotations/x.xml", "lies outside the source folder")
    ]


def test_masks_are_not_photos(lay):
    files = {"JPEGImages/1.jpg": b"", "Annotations/1.xml": xml(), "SegmentationClass/1.png": b""}
    found = formats.read(lay(files))
    assert (len(found.images), found.rejected) == (1, ())
    assert "1 masks that are not used" in found.note


def test_no_xml_is_a_fault(lay):
    with pytest.raises(Fault, match=r"no \.xml, so it is not Pascal VOC"):
        formats.read(lay({"1.jpg": b""}), "voc")
