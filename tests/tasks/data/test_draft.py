"""What of a source will be in a dataset: how much may be missing, what a retry keeps, where an image has its split."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks.data import formats
from tasks.data.annotations import Annotation
from tasks.data.check import Checked
from tasks.data.commit import commit, stage
from tasks.data.dataset import Dataset
from tasks.data.draft import Draft, current, draft, first_splits, fresh, mended, remember_splits, within
from tasks.data.formats.source import Rejected
from tasks.data.store import heading, lines, record


def entry(name: str, boxes: int = 0, split: str = "train") -> Annotation:
    flags = (False,) * boxes
    columns = (((0.0, 0.0, 1.0, 1.0),) * boxes, (1.0,) * boxes, ("hail",) * boxes, flags, flags)
    return Annotation(name, f"{name:0>64}", 8, 6, split, (), *columns)


def rows(what: str, count: int, reason: str = "broken") -> tuple[Rejected, ...]:
    return tuple(Rejected(f"{i}.png", "", what, reason) for i in range(count))


def drafted(images: int, boxes: int, *rejected: Rejected) -> Draft:
    """Images with so many boxes each, and what was left out."""
    kept = tuple(Checked(Path(), None, entry(f"{i}", boxes)) for i in range(images))
    return Draft("roofs", "detection", False, ("hail",), kept, rejected, (), ())


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (drafted(50, 50, *rows("image", 50)), r"roofs: 50 of 100 images \(50.0%\) had to be left out.*tolerated 5.0%"),
        (drafted(50, 50, *rows("annotation", 2), *rows("row", 1)), r"3 of 53 images \(5.7%\) had.*--tolerance 7%"),
        (drafted(50, 2, *rows("box", 10)), r"roofs: 10 of 110 boxes \(9.1%\) had"),
        (
            drafted(5, 1, *rows("image", 5), *rows("box", 5)),
            r"5 of 10 images \(50.0%\) and 5 of 10 boxes \(50.0%\) had",
        ),
        (drafted(0, 0, *rows("image", 5)), r"5 of 5 images \(100.0%\) had to be left out, and no image is left"),
        (drafted(0, 0), r"0 of 0 images \(0.0%\) had to be left out, and no image is left. the source holds no image"),
    ],
)
def test_images_and_boxes_are_each_held_against_the_tolerance(draft, message):
    with pytest.raises(Fault, match=message):
        within(draft, 0.05, Path("rejected.csv"))


def test_what_is_within_the_tolerance_is_let_through():
    within(drafted(95, 50, *rows("image", 5), *rows("box", 250)), 0.05, Path("rejected.csv"))
    within(drafted(1, 0), 0.0, Path("rejected.csv"))


def test_a_retry_answers_for_what_was_not_left_out_before_alone():
    before = (*rows("image", 20), Rejected("a.json", "a.json#7", "box", "no area"))
    left = (*rows("image", 20, "still broken"), Rejected("a.json", "a.json#7", "box", "other"))
    within(fresh(drafted(50, 0, *left), before), 0.0)
    new = tuple(Rejected(f"new {i}.png", "", "image", "broken") for i in range(10))
    with pytest.raises(
        Fault, match=r"10 of 60 images \(16.7%\).*10 × broken\. Which: new 0.png, new 1.png, new 2.png and 7 more"
    ):
        within(fresh(drafted(50, 0, *left, *new), before), 0.05)


def test_an_annotation_of_an_image_that_is_gone_is_a_box_among_boxes(workspace, tmp_path):
    coco(tmp_path / "source", *(f"{i}.png" for i in range(10)))
    path = tmp_path / "source/a.json"
    content = json.loads(path.read_text())
    content["annotations"] = [
        row | {"id": 10 * row["id"] + i, "bbox": [i % 5, 1, 3, 3]} for row in content["annotations"] for i in range(5)
    ]
    content["annotations"].append({"id": 999, "image_id": 999, "category_id": 1, "bbox": [1, 1, 3, 3]})
    path.write_text(json.dumps(content))
    within(draft("roofs", formats.read(tmp_path / "source")), 0.05)


def coco(folder: Path, *names: str, broken: str = "") -> formats.Source:
    """A picture and an entry for each name, with a box; the box of `broken` has no area."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / name)
    boxes = {name: [1, 1, 0 if name == broken else 3, 3] for name in names}
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": box} for i, box in enumerate(boxes.values())
        ],
        "categories": [{"id": 1, "name": "hail"}],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return formats.read(folder)


def dataset(folder: Path, *names: str, task: str = "detection") -> Dataset:
    return Dataset("roofs", folder, task, False, ("hail",), tuple(entry(name, 1) for name in names))


def test_what_is_wrong_with_an_image_that_a_retry_takes_is_told(tmp_path):
    source = coco(tmp_path / "source", "1.png", "2.png", "3.png")
    (tmp_path / "source/3.png").unlink()
    boxless = Rejected("2.png", "a.json#1", "box", "no such category")
    gone = Rejected("4.png", "a.json#9", "image", "missing: there is no such file")
    source = replace(source, rejected=(boxless, gone))
    told = mended(dataset(tmp_path, "1.png"), source, [Rejected("a.json", "", "annotation", "broken JSON")]).rejected
    assert {row.path for row in told} == {"2.png", "3.png", "4.png"}
    assert boxless in told and gone in told


def test_rows_that_a_retry_does_not_ask_for_stay(tmp_path):
    source = coco(tmp_path / "source", "1.png", "2.png", "3.png")
    before = [
        Rejected("2.png", "", "image", "missing"),  # asked for, and good now
        Rejected("3.png", "", "image", "missing"),
        Rejected("1.png", "a.json#0", "box", "no area"),
        Rejected("1.png", "", "image", "missing"),  # a refused ingest said so of an image that the dataset has
    ]
    found = mended(dataset(tmp_path, "1.png"), source, before[:1], before)
    assert list(found.rejected) == before[1:3]
    assert [image.annotation.image for image in found.images] == ["1.png", "2.png"]


def test_what_was_mended_before_stays_in_the_list_unless_taken_again(tmp_path):
    source = coco(tmp_path / "source", "1.png", "2.png", "3.png")
    before = [Rejected(f"{i}.png", "a.json#0", "box", "clipped") for i in (1, 2, 9)]  # 9: of a refused ingest
    found = mended(dataset(tmp_path, "1.png", "2.png"), source, [Rejected("2.png", "", "image", "")], (), before)
    assert list(found.repaired) == before[:1]


def test_a_retry_with_a_source_for_another_task_is_refused(tmp_path):
    source = coco(tmp_path / "source", "1.png")
    with pytest.raises(Fault, match=r"roofs: is a dataset for classification, and the source was read as coco"):
        mended(dataset(tmp_path, "1.png", task="classification"), source, [])


def on_disk(root: Path, **splits: str) -> Path:
    """`data/roofs` with an image in each of these splits; its annotations."""
    folder = root / "data" / "roofs"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    entries = [entry(name, split=split) for name, split in splits.items()]
    (folder / "dataset.yaml").write_text(heading("roofs", "detection", False, []))
    (folder / "annotations.jsonl").write_text(lines(entries))
    for one in entries:
        (folder / "images" / one.image).write_text(one.image)
    return folder / "annotations.jsonl"


def sha(name: str) -> str:
    return entry(name).sha256


def test_the_version_that_the_pointer_names_says_the_splits_that_an_older_folder_does_not(workspace):
    on_disk(workspace, a="train")
    commit("roofs")
    older = shutil.copytree(workspace / "data", workspace / "older")
    on_disk(workspace, a="train", b="test")
    commit("roofs")
    shutil.rmtree(workspace / "data")
    older.rename(workspace / "data")  # as after a `git pull` without a `dvc pull`
    assert first_splits("roofs") == {sha("a"): "train", sha("b"): "test"}


@pytest.mark.parametrize("lost", ["*", "*[!r]"])  # the whole cache, or all but the listings (`….dir`)
def test_a_new_version_is_refused_where_nobody_knows_the_splits_of_the_one_named(workspace, lost):
    on_disk(workspace, a="train", b="test")
    commit("roofs")
    for path in (workspace / ".dvc/cache/files/md5").glob(f"*/{lost}"):
        path.unlink()
    built = shutil.copytree(on_disk(workspace, a="train", c="val").parent, workspace / "data/.roofs.new")
    on_disk(workspace, a="train", b="test")
    (workspace / "data/roofs/images/c").unlink()
    assert stage("roofs", built)  # the folder on disk is that version: it knows
    on_disk(workspace, a="train", c="val")
    with pytest.raises(
        Fault, match=r"a new version of roofs cannot be recorded: data.dvc names its version .*`dvc pull`"
    ):
        commit("roofs")
    assert commit("roofs", forget=["roofs"])


def test_the_dataset_is_believed_more_than_what_was_remembered_here(workspace):
    on_disk(workspace, a="train")
    commit("roofs")
    (record("roofs") / "splits.csv").write_text(f"{sha('a')},test\n{sha('gone')},val\n")
    assert first_splits("roofs") == {sha("a"): "train", sha("gone"): "val"}
    remember_splits("roofs", [entry("a", split="train")])
    assert (record("roofs") / "splits.csv").read_text() == f"{sha('a')},train\n{sha('gone')},val\n"


def test_broken_annotations_are_those_of_the_version_or_a_fault(workspace):
    path = on_disk(workspace, a="train", b="test")
    commit("roofs")
    path.write_text("{\n")
    assert [one.image for one in current("roofs")] == ["a", "b"]
    commit("roofs")  # now the version is broken too
    with pytest.raises(Fault, match=r"roofs/annotations.jsonl:1: not an annotation"):
        current("roofs")
