"""CSV."""

from __future__ import annotations

import pytest

from models.runtime.faults import Fault
from tasks.data import formats

PICTURES = {f"images/{n}.jpg": b"" for n in "1234"}


def rows(found: formats.Source) -> dict[str, tuple[str, ...]]:
    return {image.name.removeprefix("images/"): image.concepts for image in found.images}


@pytest.mark.parametrize("separator", [",", "|", ";", ", "])
def test_path_and_concepts(lay, separator):
    text = f'path,concepts\nimages/1.jpg,"cat{separator}dog"\nimages/2.jpg,dog\nimages/3.jpg,cat\nimages/4.jpg,dog\n'
    found = formats.read(lay(PICTURES | {"labels.csv": text}))
    assert (found.format, found.task, found.exclusive, found.concepts) == (
        "csv",
        "classification",
        False,
        ("cat", "dog"),
    )
    assert rows(found) == {"1.jpg": ("cat", "dog"), "2.jpg": ("dog",), "3.jpg": ("cat",), "4.jpg": ("dog",)}
    assert found.images[0].where == "labels.csv:2"
    assert found.rejected == ()


def test_image_path_and_label_is_one_name_as_it_stands(lay):
    text = 'image_path,label\nimages/1.jpg,"Toys, games"\nimages/2.jpg,hat\n'
    found = formats.read(lay({"images/1.jpg": b"", "images/2.jpg": b"", "a.csv": text}))
    assert (found.concepts, found.exclusive) == (("Toys, games", "hat"), True)


def test_the_hosted_platforms_form(lay):
    text = (
        "inputid,input,concepts,metadata,geopoints\n"
        "i1,images/1.jpg,\"cat,dog\",\"{'filename': 'x.jpg', 'split': 'train', 'n': 2}\",\"102.5,-70\"\n"
        'i2,images/2.jpg,cat,"{""ok"": true}",\n'
    )
    found = formats.read(lay({"images/1.jpg": b"", "images/2.jpg": b"", "up.csv": text}))
    assert [image.concepts for image in found.images] == [("cat", "dog"), ("cat",)]
    assert [image.metadata for image in found.images] == [
        {
            "inputid": "i1",
            "filename": "x.jpg",
            "split": "train",
            "n": 2,
            "geopoints": {"longitude": 102.5, "latitude": -70.0},
        },
        {"inputid": "i2", "ok": True},
    ]
    assert {image.split for image in found.images} == {None}


@pytest.mark.parametrize(("mark", "separator"), [("\ufeff", ","), ("", ";"), ("\ufeff", "\t")])
def test_marks_separators_line_ends_and_case(lay, mark, separator):
    text = mark + "\r\n".join(separator.join(row) for row in (("Path", " Label "), ("images/1.jpg", "cat"), ("",), ()))
    assert rows(formats.read(lay({"images/1.jpg": b"", "a.csv": text}))) == {"1.jpg": ("cat",)}


def test_a_column_split_is_honoured_and_others_become_metadata(lay):
    rows = ["path,label,split,size", "images/1.jpg,a,train,3", "images/2.jpg,a,Validation,"]
    text = "\n".join([*rows, "images/3.jpg,b,test,", "images/4.jpg,b,,"])
    found = formats.read(lay(PICTURES | {"a.csv": text}))
    assert [image.split for image in found.images] == ["train", "val", "test", None]
    assert [image.metadata for image in found.images] == [{"size": "3"}, {}, {}, {}]


def test_files_called_after_splits_are_the_splits_unless_they_are_the_same(lay):
    train, test = "path,label\nimages/1.jpg,a\nimages/2.jpg,b\n", "path,label\nimages/3.jpg,a\nimages/4.jpg,b\n"
    source = lay(PICTURES | {"small_train.csv": train, "small_test.csv": test})
    assert [image.split for image in formats.read(source).images] == ["train", "train", "test", "test"]
    lay({"small_test.csv": train})
    found = formats.read(source)
    assert {image.split for image in found.images} == {None}
    assert "test holds the same pictures as train" in found.note


def test_rows_of_one_picture_are_put_together(lay):
    found = formats.read(
        lay({"images/1.jpg": b"", "a.csv": "path,label\nimages/1.jpg,a\nimages/1.jpg,b\nimages/1.jpg,a\n"})
    )
    assert rows(found) == {"1.jpg": ("a", "b")}
    assert not found.exclusive


@pytest.mark.parametrize(
    ("said", "picture"),
    [
        ("images/1.jpg", "images/1.jpg"),
        ("./images//1.jpg", "images/1.jpg"),
        ("images\\1.jpg", "images/1.jpg"),
        ("IMAGES/1.JPG", "images/1.jpg"),
        ("1.jpg", "images/1.jpg"),
        ("source/images/1.jpg", "images/1.jpg"),
        ("images/cafe\u0301 (1).jpg", "images/caf\u00e9 (1).jpg"),
    ],
)
def test_paths_as_people_write_them(lay, said, picture):
    found = formats.read(lay({picture: b"", "a.csv": f"path,label\n{said},cat\n"}))
    assert [image.name for image in found.images] == [picture]


@pytest.mark.parametrize(
    ("row", "path", "what", "reason"),
    [
        ("images/9.jpg,cat", "images/9.jpg", "image", "missing: there is no such file"),
        ("../out.jpg,cat", "../out.jpg", "image", "lies outside the source folder: '../out.jpg'"),
        ("/etc/x.jpg,cat", "/etc/x.jpg", "image", "lies outside the source folder: '/etc/x.jpg'"),
        ("C:\\x.jpg,cat", "C:\\x.jpg", "image", "lies outside the source folder: 'C:/x.jpg'"),
        ("images/2.jpg,", "images/2.jpg", "row", "no concept"),
        ("images/2.jpg,cat,dog", "a.csv", "row", "uneven: 3 fields and 2 columns"),
        ("notes.md,cat", "notes.md", "image", "not an image: it has no image format's suffix"),
        (",cat", "", "image", "names no picture"),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected(lay, row, path, what, reason):
    source = lay({"images/1.jpg": b"", "notes.md": "", "a.csv": f"path,concepts\nimages/1.jpg,cat\n{row}\n"})
    (source.parent / "out.jpg").write_bytes(b"")
    if "2.jpg" in row:
        lay({"images/2.jpg": b""})
    found = formats.read(source)
    assert rows(found) == {"1.jpg": ("cat",)}
    rejected = found.rejected[0]
    assert (rejected.path, rejected.row, rejected.what) == (path, "a.csv:3", what)
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("metadata", "not json", "no metadata"),
        ("metadata", "[1]", "no metadata"),
        ("metadata", "{'a': {1, 2}}", "no metadata"),
        ("metadata", "{'a': __import__('os')}", "no metadata"),
        ("geopoints", "north", "no geopoint"),
        ("split", "holdout", "no such split"),
    ],
)
def test_values_that_mean_nothing_are_rejected_with_their_row(lay, column, value, reason):
    text = f'path,label,{column}\nimages/1.jpg,cat,"{value}"\nimages/2.jpg,cat,\n'
    found = formats.read(lay({"images/1.jpg": b"", "images/2.jpg": b"", "a.csv": text}))
    assert [image.name for image in found.images] == ["images/2.jpg"]
    assert [(row.path, row.row, row.reason.partition(":")[0]) for row in found.rejected] == [
        ("images/1.jpg", "a.csv:2", reason)
    ]


def test_a_picture_that_no_row_names_is_rejected(lay):
    source = lay(PICTURES | {"a.csv": "path,label\nimages/1.jpg,a\nimages/2.jpg,a\nimages/3.jpg,a\n"})
    assert [(row.path, row.reason) for row in formats.read(source).rejected] == [
        ("images/4.jpg", "no annotation: no row names it")
    ]
    assert formats.read(source / "a.csv").rejected == ()


def test_urls_are_refused_with_the_way_out(lay):
    text = "input,concepts\nhttps://example.com/a.jpg,cat\n"
    with pytest.raises(Fault, match=r"a\.csv:2: 'https://example.com/a.jpg' is a URL.*Download.*--allow-host HOST"):
        formats.read(lay({"a.csv": text}))


def test_a_file_of_other_columns_is_none(lay):
    source = lay({"1.jpg": b"", "a.csv": "filename,cell_type,xmin\n1.jpg,RBC,3\n"})
    with pytest.raises(Fault, match=r"no CSV with the columns path,concepts .* a\.csv with filename, cell_type, xmin"):
        formats.read(source, "csv")


def test_a_file_in_another_encoding_is_refused(lay):
    source = lay({"1.jpg": b"", "a.csv": "path,label\n1.jpg,café\n".encode("latin-1")})
    with pytest.raises(Fault, match=r"a\.csv: not UTF-8 text .* Save it as CSV UTF-8"):
        formats.read(source)


def test_a_quote_that_is_not_closed_swallows_no_rows(lay):
    rows = "".join(f"{i}.jpg,red\n" for i in range(5))
    source = lay(
        {f"{i}.jpg": b"" for i in range(7)} | {"labels.csv": f'image_path,label\n{rows}5.jpg,"red\n6.jpg,blue\n'}
    )
    with pytest.raises(Fault, match=r"labels\.csv: not UTF-8 text in quoted fields"):
        formats.read(source, "csv")


def test_a_label_over_two_lines_is_none(lay):
    source = lay({"1.jpg": b"", "2.jpg": b"", "labels.csv": 'image_path,label\n1.jpg,"red\n2.jpg,blue"\n2.jpg,red\n'})
    found = formats.read(source, "csv")
    assert [image.name for image in found.images] == ["2.jpg"]
    assert any("a line break" in row.reason for row in found.rejected)
