"""Labelled pictures become a versioned dataset; nothing is dropped in silence, and a failure changes nothing."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks import ingest as verbs
from tasks.data import store
from tasks.data.account import counts, told
from tasks.data.dataset import named_dataset
from tasks.data.store import read_rows
from tasks.data.version import dataset_version, verify


def picture(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade, 255 - shade, shade // 2)).save(path, "PNG")
    return path


@pytest.fixture
def photos(tmp_path):
    """20 cats and 20 dogs in class folders."""
    folder = tmp_path / "photos"
    for i in range(20):
        picture(folder / "cat" / f"{i}.png", i)
        picture(folder / "dog" / f"{i}.png", 100 + i)
    return folder


def xml(folder: Path, name: str, shade: int, *boxes: tuple[int, int, int, int]) -> None:
    picture(folder / f"{name}.png", shade)
    objects = "".join(
        f"<object><name>hail</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    size = "<size><width>8</width><height>6</height><depth>3</depth></size>"
    text = f"<annotation><filename>{name}.png</filename>{size}{objects}</annotation>"
    (folder / f"{name}.xml").write_text(text)


def ingest(source, dataset="pets", format="auto", split="", tolerance=0.05, retry="", forget=""):
    """The flow's steps, without a Prefect server."""
    request = verbs.request(str(source), dataset, format, split, tolerance, str(retry), forget)
    with store.locked():
        found = verbs.read.fn(request)
        draft = verbs.split.fn(request, verbs.check.fn(request, found))
        return verbs.version.fn(request, draft, found.format, verbs.write.fn(draft))


def test_a_folder_becomes_a_dataset(workspace, photos):
    done = ingest(photos)
    assert (done.images, done.boxes, done.rejected, done.concepts) == (40, 0, 0, ("cat", "dog"))
    assert done.splits == {"train": 32, "val": 4, "test": 4}
    assert done.dataset_version == verify("pets") == dataset_version("pets")
    dataset = named_dataset("pets")
    assert dataset.task == "classification" and dataset.exclusive
    entry = dataset.annotations[0]
    assert (entry.image, entry.width, entry.height, entry.concepts) == ("cat/0.png", 8, 6, ("cat",))
    assert dataset.path(entry).read_bytes() == (photos / "cat/0.png").read_bytes()
    assert (photos / "cat/0.png").stat().st_nlink == 1


def test_the_same_source_twice_changes_nothing(workspace, photos):
    first = ingest(photos)
    before = (workspace / "data/pets/annotations.jsonl").stat().st_ino
    again = ingest(photos)
    assert first.changed and not again.changed
    assert (first.dataset_version, first.data_version) == (again.dataset_version, again.data_version)
    assert (workspace / "data/pets/annotations.jsonl").stat().st_ino == before


def test_elsewhere_the_same_source_gives_the_same_bytes(workspace, photos, tmp_path, monkeypatch):
    here = ingest(photos)
    moved = photos.rename(tmp_path / "moved")
    monkeypatch.setenv("SIGHTLINE_ROOT", str(tmp_path / "other"))
    assert ingest(moved).data_version == here.data_version


def test_the_dataset_becomes_what_the_source_says_and_splits_stay(workspace, photos):
    ingest(photos)
    before = {entry.sha256: entry.split for entry in named_dataset("pets").annotations}
    for i in range(5):
        (photos / "cat" / f"{i}.png").unlink()
    for i in range(20):
        picture(photos / "bird" / f"{i}.png", 200 + i)
    done = ingest(photos)
    assert (done.images, done.concepts) == (55, ("bird", "cat", "dog"))
    after = {entry.sha256: entry.split for entry in named_dataset("pets").annotations}
    assert all(before[sha] == split for sha, split in after.items() if sha in before)
    assert not (workspace / "data/pets/images/cat/0.png").exists()
    for i in range(5):
        picture(photos / "kitten" / f"{i}.png", i)  # back, in another folder
    ingest(photos)
    assert all(before[e.sha256] == e.split for e in named_dataset("pets").annotations if e.sha256 in before)


def test_modified_files_on_disk_are_written_again(workspace, photos):
    first = ingest(photos)
    (workspace / "data/pets/images/cat/0.png").write_bytes(b"rot")
    assert ingest(photos).dataset_version == first.dataset_version
    assert verify("pets") == first.dataset_version


def test_what_is_left_out_is_written_down_and_can_be_retried(workspace, photos, tmp_path):
    (photos / "cat/broken.png").write_bytes(b"not a picture")
    (photos / "dog/empty.png").write_bytes(b"")
    done = ingest(photos)
    rows = read_rows(Path(done.rejected_file))
    assert [(row.path, row.what) for row in rows] == [("cat/broken.png", "image"), ("dog/empty.png", "image")]
    assert (done.rejected, done.images) == (2, 40)
    kept = named_dataset("pets").annotations

    picture(photos / "cat/broken.png", 77)
    picture(photos / "cat/0.png", 78)  # changed too, but nobody asks for it
    again = ingest("", retry=done.rejected_file)
    assert (again.images, again.rejected) == (41, 1)
    assert [row.path for row in read_rows(Path(again.rejected_file))] == ["dog/empty.png"]
    assert [entry for entry in named_dataset("pets").annotations if entry.image != "cat/broken.png"] == list(kept)
    assert verify("pets") == again.dataset_version


def test_boxes_are_left_out_alone_and_mended_alone(workspace, tmp_path):
    source = tmp_path / "roofs"
    for i in range(30):
        xml(source, f"roof {i}", i, (1, 1, 5, 5))
    xml(source, "roof 3", 3, (1, 1, 5, 5), (2, 2, 2, 4))
    (source / "roof 4.xml").write_text("<annotation><object>")
    done = ingest(source, "roofs")
    assert (done.images, done.boxes, done.rejected, done.format) == (29, 29, 2, "voc")
    rows = {row.path: row for row in read_rows(Path(done.rejected_file))}
    assert rows["roof 3.png"].what == "box" and rows["roof 3.png"].reason.startswith("no area")

    xml(source, "roof 3", 3, (1, 1, 5, 5), (2, 2, 3, 4))
    xml(source, "roof 4", 4, (1, 1, 5, 5))
    xml(source, "roof 5", 5, (0, 0, 8, 6))  # changed too, but nobody asks for it
    again = ingest("", "roofs", retry=done.rejected_file)
    assert (again.images, again.boxes, again.rejected) == (30, 31, 0)
    boxes = {entry.image: entry.boxes for entry in named_dataset("roofs").annotations}
    assert boxes["roof 3.png"] == ((1, 1, 5, 5), (2, 2, 3, 4))
    assert boxes["roof 5.png"] == ((1, 1, 5, 5),)


def test_a_picture_that_was_missing_is_taken_when_it_is_there(workspace, photos, tmp_path):
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in sorted(photos.rglob("*.png"))]
    (photos / "labels.csv").write_text("\n".join(["path,concepts", *rows, "late.png,dog"]))
    done = ingest(photos, format="csv")
    assert (done.images, done.rejected) == (40, 1)
    assert "late.png" in read_rows(Path(done.rejected_file))[0].path
    picture(photos / "late.png", 222)
    assert (ingest("", retry=done.rejected_file).images, named_dataset("pets").annotations[-1].image) == (
        41,
        "late.png",
    )


@pytest.mark.parametrize("step", ["within", "build", "point"])
def test_a_retry_that_fails_loses_no_row(workspace, photos, monkeypatch, step):
    for name in ("cat/broken.png", "dog/broken.png"):
        (photos / name).write_bytes(b"not a picture")
    done = ingest(photos)
    before = read_rows(Path(done.rejected_file))
    picture(photos / "cat/broken.png", 77)
    with monkeypatch.context() as context:
        context.setattr(verbs, step, lambda *_: (_ for _ in ()).throw(Fault("no")))
        with pytest.raises(Fault, match="no"):
            ingest("", retry=done.rejected_file)
    assert read_rows(Path(done.rejected_file)) == before
    assert ingest("", retry=done.rejected_file).images == 41
    assert [row.path for row in read_rows(Path(done.rejected_file))] == ["dog/broken.png"]


def test_a_retry_that_only_mends_is_not_held_against_the_tolerance(workspace, photos):
    for i in range(8):
        (photos / "cat" / f"{i}.png").write_bytes(b"broken")
    done = ingest(photos, tolerance=0.2)
    picture(photos / "cat/0.png", 77)
    again = ingest("", retry=done.rejected_file)  # 7 of 40 are still out
    assert (again.images, again.rejected) == (33, 7)


def test_a_retry_refused_names_no_list_that_was_not_written(workspace, tmp_path):
    source = tmp_path / "roofs"
    for i in range(30):
        xml(source, f"{i}", i, (1, 1, 5, 5))
    xml(source, "3", 3, (1, 1, 5, 5), (2, 2, 2, 4))
    done = ingest(source, "roofs")
    xml(source, "3", 3, *((1, 1, 1, i) for i in range(2, 6)))
    with pytest.raises(Fault, match=r"3 of 32 boxes.*Which: 3.xml#object 1") as refused:
        ingest("", "roofs", retry=done.rejected_file)
    assert "rejected.csv" not in str(refused.value)


def test_a_retry_keeps_the_list_of_what_was_mended(workspace, tmp_path):
    source = tmp_path / "roofs"
    for i in range(30):
        xml(source, f"{i}", i, (1, 1, 5, 5))
    xml(source, "1", 1, (1, 1, 50, 5))
    (source / "2.xml").write_text("<annotation><object>")
    done = ingest(source, "roofs")
    xml(source, "2", 2, (1, 1, 5, 50))
    ingest("", "roofs", retry=done.rejected_file)
    rows = read_rows(Path(done.rejected_file).with_name("repaired.csv"))
    assert [row.path for row in rows] == ["1.png", "2.png"]


def test_a_list_cut_by_hand_keeps_the_other_rows(workspace, photos, tmp_path):
    for name in ("cat/broken.png", "dog/broken.png"):
        (photos / name).write_bytes(b"not a picture")
    done = ingest(photos)
    picture(photos / "cat/broken.png", 77)
    (tmp_path / "some.csv").write_text("path,row,what,reason\ncat/broken.png,,image,mended\n")
    again = ingest("", retry=tmp_path / "some.csv")
    assert (again.images, again.rejected) == (41, 1)
    assert [row.path for row in read_rows(Path(done.rejected_file))] == ["dog/broken.png"]


def test_a_retry_adds_to_the_named_version_only(workspace, photos):
    done = ingest(photos)
    (workspace / "data/pets/images/cat/0.png").unlink()
    with pytest.raises(Fault, match=r"data/pets is not what data.dvc names: 1 missing"):
        ingest("", retry=done.rejected_file)


def test_more_than_the_tolerance_fails_and_leaves_the_old_data(workspace, photos):
    first = ingest(photos)
    for i in range(5):
        (photos / "cat" / f"{i}.png").write_bytes(b"broken")
    with pytest.raises(Fault, match=r"5 of 40 images \(12.5%\).*tolerated 5.0%.*5 × not an image.*rejected.csv"):
        ingest(photos)
    assert verify("pets") == first.dataset_version
    assert len(read_rows(workspace / ".sightline/ingest/pets/rejected.csv")) == 5
    assert ingest(photos, tolerance=0.2).images == 35


def test_nothing_usable_is_a_fault_whatever_the_tolerance(workspace, tmp_path):
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        (tmp_path / "photos" / name).write_bytes(b"broken")
    with pytest.raises(Fault, match="no image is left"):
        ingest(tmp_path / "photos", tolerance=1.0)
    assert not (workspace / "data").exists()


def test_contradictions_are_left_out_with_the_other_named(workspace, photos):
    shutil.copy(photos / "cat/3.png", photos / "dog/also.png")
    done = ingest(photos)
    rows = read_rows(Path(done.rejected_file))
    assert [row.path for row in rows] == ["cat/3.png", "dog/also.png"]
    assert "also as dog/also.png (dog)" in rows[0].reason


def test_twins_share_a_split(workspace, photos):
    for i in range(20):
        shutil.copy(photos / f"cat/{i}.png", photos / f"cat/copy of {i}.png")
    done = ingest(photos)
    assert done.twins == 40
    splits = {entry.image: entry.split for entry in named_dataset("pets").annotations}
    assert all(splits[f"cat/{i}.png"] == splits[f"cat/copy of {i}.png"] for i in range(20))


def test_a_kill_before_the_swap_leaves_the_old_dataset(workspace, photos, monkeypatch):
    first = ingest(photos)
    picture(photos / "cat/new.png", 99)
    monkeypatch.setattr(verbs, "swap", lambda name: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ingest(photos)
    assert verify("pets") == first.dataset_version
    monkeypatch.undo()
    monkeypatch.setenv("SIGHTLINE_ROOT", str(workspace))
    done = ingest(photos)
    assert done.images == 41
    assert [path.name for path in (workspace / "data").iterdir()] == ["pets"]


def test_a_kill_between_swap_and_pointer_is_healed_by_the_next_ingest(workspace, photos, monkeypatch):
    ingest(photos)
    picture(photos / "cat/new.png", 99)

    def killed(staged, arrive):
        arrive()
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "point", killed)
    with pytest.raises(KeyboardInterrupt):
        ingest(photos)
    assert len(named_dataset("pets")) == 41  # whole, and new
    monkeypatch.undo()
    monkeypatch.setenv("SIGHTLINE_ROOT", str(workspace))
    done = ingest(photos)
    assert verify("pets") == done.dataset_version


def test_without_an_exchange_of_folders_two_renames_do_it(workspace, photos, monkeypatch):
    monkeypatch.setattr(store, "_exchange", lambda one, other: False)
    ingest(photos)
    picture(photos / "cat/new.png", 99)
    assert verify("pets") != ingest(photos).dataset_version == verify("pets")
    place = workspace / "data/pets"
    place.rename(workspace / "data/.pets.old")  # killed between the two
    store.tidy()
    assert verify("pets") and not (workspace / "data/.pets.old").exists()


def test_a_picture_that_changes_during_the_ingest_is_noticed(workspace, photos, monkeypatch):
    request = verbs.request(str(photos), "pets", "auto", "", 0.05, "", "")
    draft = verbs.split.fn(request, verbs.check.fn(request, verbs.read.fn(request)))
    picture(photos / "cat/0.png", 250)
    with pytest.raises(Fault, match=r"cat/0.png: changed while it was being ingested"):
        verbs.write.fn(draft)


def test_a_full_disk_is_noticed_before_anything_is_written(workspace, photos, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(Fault, match=r"GB are needed .*0.0 GB are free"):
        ingest(photos)
    assert not (workspace / "data/pets").exists()


def test_a_full_disk_of_the_cache_leaves_nothing_of_what_was_built(workspace, photos, monkeypatch):
    first = ingest(photos)
    picture(photos / "cat/new.png", 99)
    free = iter([10**9, 1])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, next(free)))
    with pytest.raises(Fault, match=r"\.dvc/cache.*GB are needed .*0.0 GB are free"):
        ingest(photos)
    assert [path.name for path in (workspace / "data").iterdir()] == ["pets"]
    assert verify("pets") == first.dataset_version


def test_other_datasets_stay(workspace, photos, tmp_path):
    first = ingest(photos)
    picture(tmp_path / "b/x/1.png", 1)
    picture(tmp_path / "b/y/1.png", 2)
    ingest(tmp_path / "b", "other")
    assert verify("pets") == first.dataset_version
    shutil.rmtree(workspace / "data/pets")  # as in a clone that has the cache alone
    picture(tmp_path / "b/y/2.png", 3)
    ingest(tmp_path / "b", "other")
    assert dataset_version("pets") == first.dataset_version


def test_a_dataset_that_is_not_on_disk_keeps_its_splits(workspace, photos):
    ingest(photos)
    before = {entry.sha256: entry.split for entry in named_dataset("pets").annotations}
    shutil.rmtree(workspace / "data/pets")
    shutil.rmtree(workspace / ".sightline/ingest")
    for i in range(0, 20, 2):
        (photos / "cat" / f"{i}.png").unlink()
    ingest(photos)
    assert all(before[entry.sha256] == entry.split for entry in named_dataset("pets").annotations)


def test_a_relative_source_counts_from_here_and_from_the_root(workspace, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert verbs.request("photos", "pets", "auto", "", 0.05, "", "").source == str(photos)
    photos.rename(workspace / "pictures")
    assert verbs.request("pictures", "pets", "auto", "", 0.05, "", "").source == str(workspace / "pictures")


def test_nobodys_own_files_in_data_are_replaced(workspace, photos):
    inside = photos.rename(workspace / "photos")
    (workspace / "data").mkdir()
    inside = inside.rename(workspace / "data" / "pets")
    with pytest.raises(Fault, match=r"pets: is there already and no dataset"):
        verbs.request(str(inside), "pets", "auto", "", 0.05, "", "")
    with pytest.raises(Fault, match=r"lies in data/, which holds what ingests make"):
        verbs.request(str(inside), "other", "auto", "", 0.05, "", "")
    assert (inside / "cat/0.png").exists()


def test_shares_that_the_source_has_no_use_for_are_told(workspace, photos, tmp_path):
    for split in ("train", "val", "test"):
        shutil.copytree(photos, tmp_path / "source" / split)
    done = ingest(tmp_path / "source", split="50/25/25")
    assert done.splits == {"train": 0, "val": 0, "test": 120}  # all byte copies: held out, every one
    assert "50/25/25 was not used" in done.notes[-1]


def test_two_ingests_at_once_wait_for_each_other(workspace, caplog):
    waiting = threading.Event()

    def second():
        waiting.set()
        with store.locked():
            order.append("second")

    order: list[str] = []
    with store.locked():
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "another ingest is at work" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "/nowhere/at/all"}, "no such file or folder"),
        ({"source": "x" * 5000}, r"x…x+: there is no such file or folder"),
        ({"dataset": "a/b"}, "cannot name a dataset"),
        ({"dataset": "x" * 300}, "x…x+' cannot name a dataset"),
        ({"dataset": "日" * 90}, "cannot name a dataset"),
        ({"split": "x"}, "'x': give the shares of train, val and test"),
        ({"split": "50/60/0"}, "give the shares of train, val and test"),
        ({"tolerance": 5.0}, "a share between 0 and 1"),
        ({"source": "", "retry": "rejected.csv"}, "not known here what it was ingested from"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(workspace, photos, changes, message):
    given = {"source": str(photos), "dataset": "pets", "format": "auto", "split": "", "tolerance": 0.05} | changes
    with pytest.raises(Fault, match=message):
        verbs.request(**{"retry": "", "forget": "", **given})


def test_a_retry_needs_a_list_of_rejected_rows(workspace, photos, tmp_path):
    ingest(photos)
    with pytest.raises(Fault, match=r"cannot be read as a rejected\.csv"):
        ingest("", retry=tmp_path / "gone.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(Fault, match=r"pipe.csv: cannot be read as a rejected\.csv \(no regular file"):
        ingest("", retry=tmp_path / "pipe.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(Fault, match=r"must have the columns path, row, what, reason; it has none"):
        ingest("", retry=tmp_path / "empty.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Fault, match="must have the columns path, row, what, reason; it has a, b"):
        ingest("", retry=tmp_path / "other.csv")


def test_what_this_machine_remembers_may_be_broken(workspace, photos):
    done = ingest(photos)
    remembered = workspace / ".sightline/ingest/pets"
    (remembered / "ingest.json").write_text("[]")
    with pytest.raises(Fault, match=r"ingest\.json: broken\. Give the source and the --format with --retry"):
        ingest("", retry=done.rejected_file)
    (remembered / "splits.csv").write_bytes(b"\xff,trian\n")
    with pytest.raises(Fault, match=r"splits\.csv: .* has no split \(train, val, test\)\. Mend or remove that line"):
        ingest(photos)


def test_a_dataset_broken_by_hand_is_made_again(workspace, photos):
    version = ingest(photos).dataset_version
    (workspace / "data/pets/annotations.jsonl").write_bytes(b"\xff")
    assert ingest(photos).dataset_version == version == verify("pets")


def test_the_report_tells_what_came_in_and_what_did_not(workspace, photos):
    (photos / "cat/a|b.png").write_bytes(b"broken")
    request = verbs.request(str(photos), "pets", "auto", "", 0.05, "", "")
    found = verbs.read.fn(request)
    draft = verbs.split.fn(request, verbs.check.fn(request, found))
    done = verbs.version.fn(request, draft, found.format, verbs.write.fn(draft))
    assert counts(draft)[0] == {"concept": "cat", "train": 16, "val": 2, "test": 2, "boxes": 0}
    text = told(done, draft)
    assert "| cat | 16 | 2 | 2 | 0 |" in text
    assert r"| cat/a\|b.png |  | image | not an image in a known format" in text
    assert done.dataset_version in text
    assert "40 images (train 32, val 4, test 4)" in done.sentence() and "left out: 1" in done.sentence()
    asked = json.loads((workspace / ".sightline/ingest/pets/ingest.json").read_text())
    assert (asked["source"], asked["format"]) == (str(photos), "folder")


def test_what_could_not_be_recorded_is_refused_before_any_picture_is_read(workspace, tmp_path):
    (workspace / "data.dvc").write_text(
        "meta:\n  data_version: 0123456789abcdef0123456789abcdee.dir\n"
        "  datasets: {other: 0123456789abcdef0123456789abcdef.dir}\n"
        "outs:\n- md5: 0123456789abcdef0123456789abcdee.dir\n  hash: md5\n  path: data\n"
    )
    asked = (str(tmp_path), "roofs", "auto", "", 0.05, "")
    with pytest.raises(Fault, match=r"roofs cannot be recorded: data\.dvc also names other .* --forget other\."):
        verbs.request(*asked, "")
    assert verbs.request(*asked, "other").forget == ("other",)
