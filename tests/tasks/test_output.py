"""The folder that answers are written into is one run's alone, and a run that was cut off goes on in it."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks import gather, output, predict
from tasks.output import PARTS, output_folder
from tests.registered import pinned, planned, predicted, registered

runs = count()


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A classifier and a folder of 16 pictures."""
    folder = tmp_path_factory.mktemp("output")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        shapes = pinned(folder / "shapes")
        classifier = registered(planned(shapes))
    return SimpleNamespace(classifier=classifier, pictures=Path(shapes.folder) / "images")


def claimed(given: Path | str = "", run: str = "") -> Path:
    """The folder of a prediction that begins, and ends before its first picture."""
    with output_folder("shapes-1", run or f"another {next(runs)}", str(given)) as folder:
        return folder


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), (shade, 0, 0)).save(path)
    return path


def test_a_folder_with_predictions_is_refused(ready, tmp_path):
    predicted(ready.classifier, [ready.pictures], tmp_path)
    with pytest.raises(Fault, match=r"holds predictions already\. Name another folder, or remove it\."):
        claimed(tmp_path)


def test_what_an_interrupted_prediction_left_is_no_hindrance(ready, tmp_path):
    left = tmp_path / PARTS / "000512.jsonl"
    left.parent.mkdir()
    left.write_text("half a l")
    with output_folder("shapes-1", "a run", str(tmp_path)) as folder:
        assert predicted(ready.classifier, [ready.pictures], folder)["images"] == 16
    assert not left.parent.exists()
    assert len(lines(tmp_path)) == 16


def test_without_a_folder_a_new_one_is_made(ready, workspace):
    folder = claimed()
    assert folder.is_dir()
    assert folder.parent == workspace / "predictions"
    assert folder.name.startswith("shapes-1-20")


def test_two_in_one_second_do_not_share_a_folder(ready, workspace):
    folders = {claimed() for _ in range(4)}
    assert len(folders) == 4


def test_what_an_interrupted_prediction_had_drawn_is_not_kept(ready, tmp_path):
    folder = tmp_path / "answers"
    picture(folder / "drawn/images/gone.jpg")
    (folder / PARTS).mkdir()
    claimed(folder)
    assert [path.name for path in folder.rglob("*")] == [PARTS, "lock", "run"]


def test_a_prediction_that_broke_off_at_its_very_end_is_done_again(ready, tmp_path, monkeypatch):
    def full(_, path, names):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(Fault, match="answers cannot be written there"):
        patch.setattr(gather, "write_table", full)
        with output_folder("shapes-1", "a run", str(tmp_path / "out")) as folder:
            predicted(ready.classifier, [ready.pictures], folder)
    with output_folder("shapes-1", "a run", str(tmp_path / "out")) as folder:
        assert predicted(ready.classifier, [ready.pictures], folder)["images"] == 16
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.jsonl", "predictions.parquet"]


def test_a_folder_of_somebody_elses_parts_is_left_alone(ready, tmp_path):
    kept = picture(tmp_path / "parts/bolt.png")
    with output_folder("shapes-1", "a run", str(tmp_path)) as folder:
        predicted(ready.classifier, [ready.pictures], folder)
    assert kept.is_file()


def test_a_folder_with_files_of_such_names_is_refused(ready, tmp_path):
    (tmp_path / "rejected.csv").write_text("mine")
    with pytest.raises(Fault, match=r"holds rejected\.csv already\. Name another folder, or move it away\."):
        claimed(tmp_path)


def test_two_at_once_do_not_share_a_folder(ready, tmp_path):
    busy = r"out: another prediction is writing there\. Name another folder, or wait until it is done\."
    with output_folder("shapes-1", "a run", str(tmp_path / "out")) as folder:
        with pytest.raises(Fault, match=busy):
            claimed(folder)
        assert predicted(ready.classifier, [ready.pictures], folder)["images"] == 16
    with pytest.raises(Fault, match="holds predictions already"):
        claimed(folder)


@pytest.mark.parametrize(
    ("name", "why"),
    [("file", "File exists"), ("file/below", "Not a directory"), ("a" * 300, "File name too long")],
)
def test_where_nothing_can_be_written_is_said_before_the_work(ready, tmp_path, name, why):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Fault, match=rf"answers cannot be written there \({why}\)\. Name another --output\."):
        claimed(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_said_before_the_work_and_in_it(ready, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(output, "ROOM", 2**80)
        with pytest.raises(Fault, match=r"answers cannot be written there \(No space left on device\)"):
            claimed(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / PARTS).mkdir(exist_ok=True)
    monkeypatch.setattr(predict, "line", full)
    with pytest.raises(Fault, match=r"answers cannot be written there \(No space left on device\)"):
        predicted(ready.classifier, [ready.pictures], tmp_path)
