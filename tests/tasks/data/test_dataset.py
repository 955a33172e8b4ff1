"""A dataset on disk is opened as it was written, and every fault in it is named."""

import os
from pathlib import Path

import pytest

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.data.dataset import datasets, folder_of, inside, named_dataset, open_dataset
from tasks.data.store import heading, lines

CAT = Annotation("a/cat.jpg", "1" * 64, 40, 30, "train", concepts=("cat",))
DOG = Annotation("b/dog.jpg", "2" * 64, 40, 30, "test", concepts=("dog",), metadata={"by": "Zoë"})
HAIL = Annotation(
    "c.png", "3" * 64, 40, 30, "val", (), ((1.5, 2.0, 10.25, 20.0),), (160.0,), ("hail",), (False,), (True,)
)


def write(folder: Path, annotations, concepts=("cat", "dog", "hail")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.yaml").write_text(heading("pets", "classification", True, concepts))
    (folder / "annotations.jsonl").write_text(lines(annotations))
    return folder


def test_opens_what_was_written(tmp_path):
    dataset = open_dataset(write(tmp_path / "pets", [HAIL, DOG, CAT]), "abc.dir")
    assert dataset.annotations == (CAT, DOG, HAIL)  # sorted by image
    assert (dataset.name, dataset.task, dataset.exclusive, dataset.version) == (
        "pets",
        "classification",
        True,
        "abc.dir",
    )
    assert dataset.concepts == ("cat", "dog", "hail")
    assert dataset.split("test") == (DOG,)
    assert dataset.path(CAT) == tmp_path / "pets/images/a/cat.jpg"


def test_same_annotations_same_bytes():
    assert lines([CAT, DOG, HAIL]) == lines([HAIL, CAT, DOG])
    assert Annotation.parse(HAIL.line()) == HAIL


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        (("cat", "dog", "hial"), r"1 boxes name the concept 'hail', .*Known: cat, dog, hial\. Did you mean 'hial'\?"),
        (("cat", "hail"), r"1 images name the concept 'dog', which is not in dataset.yaml\. Known: cat, hail\."),
    ],
)
def test_unknown_concepts_are_named(tmp_path, concepts, message):
    with pytest.raises(Fault, match=message):
        open_dataset(write(tmp_path / "pets", [CAT, DOG, HAIL], concepts))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"annotations.jsonl:2: not an annotation"),
        ('{"image": "x"}', r"annotations.jsonl:2: not an annotation: it lacks 'boxes'"),
        (CAT.line().replace('"train"', '"dev"'), r"annotations.jsonl:2: .*split 'dev' is not one of train, val, test"),
        (CAT.line().replace("a/cat.jpg", "../cat.jpg"), r"annotations.jsonl:2: .*lies outside"),
        (CAT.line().replace("40", '"40"'), r"jsonl:2: .*width must be a whole number above 0; it is '40'\. Ingest"),
        (CAT.line().replace("40", "NaN"), r"annotations.jsonl:2: .*width must be a whole number above 0; it is nan"),
        (CAT.line().replace('["cat"]', "[7]"), r"2: .*concepts must be a list of texts; it is \[7\]"),
        (CAT.line().replace('"a/cat.jpg"', "7"), r"2: .*image must be a text, .*; it is 7"),
        (CAT.line().replace("a/cat.jpg", r"\ud800"), r"2: .*image must be a text"),
        (
            CAT.line().replace("a/cat.jpg", "a/" * 99 + "x" * 300),
            r"2: .*image must be .* no longer than a path",
        ),
        (CAT.line().replace('"metadata":{', '"metadata":{"a":NaN'), r"2: .*metadata must be an object without NaN"),
        (CAT.line().replace('"metadata":{', '"metadata":{"a":' + "[" * 99 + "]" * 99), r"2: .*metadata must be"),
        (HAIL.line().replace("10.25", "Infinity"), r"2: .*boxes must be a list of four numbers each"),
        (HAIL.line().replace("10.25", "1" + "0" * 400), r"2: .*boxes must be a list of four numbers each"),
        (HAIL.line().replace("10.25,", ""), r"2: .*boxes must be a list of four numbers each"),
        (HAIL.line().replace("160.0", "160.0,1"), r"2: .*c\.png: columns of different lengths"),
        (HAIL.line().replace("[true]", "[1]"), r"2: .*difficult must be a list of true and false; it is \[1\]"),
        ("[" * 100_000, r"annotations.jsonl:2: not an annotation: .*recursion"),
        ("[]", r"annotations.jsonl:2: not an annotation: it must be a JSON object"),
        (DOG.line(), r'the image "b/dog.jpg" has 2 lines'),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    folder = write(tmp_path / "pets", [DOG])
    with (folder / "annotations.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(Fault, match=message):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "must hold name, task, exclusive, concepts; it holds"),
        ("name: [\n", "not YAML"),
        ("name: !!int ''\n", "not YAML"),
        ('name: x\ntask: detection\nexclusive: true\nconcepts: ["\\ud800"]\n', "concepts must be a list of names"),
        ("name: x\ntask: detecting\nexclusive: true\nconcepts: []\n", "no task 'detecting'.*Did you mean 'detection'"),
        ("name: x\ntask: detection\nexclusive: true\nconcepts: [1, 2]\n", "quoted where they look like numbers"),
        ("name: x\ntask: detection\nexclusive: true\nconcepts: [a, a]\n", "concept 'a' is listed twice"),
        ("name: x\ntask: detection\nexclusive: maybe\nconcepts: [a]\n", "exclusive true or false"),
    ],
)
def test_bad_headings_are_named(tmp_path, text, message):
    folder = write(tmp_path / "pets", [])
    (folder / "dataset.yaml").write_text(text)
    with pytest.raises(Fault, match=message):
        open_dataset(folder)


@pytest.mark.parametrize("file", ["dataset.yaml", "annotations.jsonl"])
def test_what_is_no_file_is_not_waited_for(tmp_path, file):
    folder = write(tmp_path / "pets", [CAT])
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(Fault, match=f"{file}: there is no such file.*`dvc checkout data/pets`"):
        open_dataset(folder)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(Fault, match=r"is no dataset"):
        open_dataset(tmp_path)
    folder = write(tmp_path / "pets", [])
    (folder / "annotations.jsonl").unlink()
    with pytest.raises(Fault, match=r"annotations.jsonl: there is no such file"):
        open_dataset(folder)


def test_datasets_are_found_by_name(workspace):
    write(workspace / "data" / "pets", [CAT])
    write(workspace / "data" / ".pets.new", [CAT])  # an ingest that was killed
    assert datasets() == ("pets",)
    assert len(named_dataset("pets")) == 1
    with pytest.raises(Fault, match=r"no dataset 'pet' on disk.*Known: pets. Did you mean 'pets'\?"):
        named_dataset("pet")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 101])
def test_names_that_are_no_folder(name):
    with pytest.raises(Fault, match="cannot name a dataset"):
        folder_of(name)


def test_unknown_split(tmp_path):
    with pytest.raises(Fault, match=r"no split 'tset'.*Did you mean 'test'\?"):
        open_dataset(write(tmp_path / "pets", [CAT])).split("tset")


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_paths_outside(path):
    assert not inside(path)


def test_paths_inside():
    assert inside("a/b (1)/ü.JPG")
