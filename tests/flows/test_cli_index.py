"""Visual search through the command line: built by a flow, then asked without a server; one JSON object each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer

from flows.cli import app
from tasks import servers
from tasks.data.version import versions
from tests.drawn import shapes
from tests.registered import pinned, planned, registered


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder for each concept, of 20 drawn pictures, two of them alike but for their bytes."""
    from PIL import Image

    drawn = shapes(tmp_path / "drawn", train=20, val=0, size=32)
    for entry in drawn.annotations:
        target = tmp_path / "photos" / entry.concepts[0] / entry.image
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(drawn.path(entry)).save(target)
    Image.open(tmp_path / "photos" / "tall" / "000.png").save(tmp_path / "photos" / "wide" / "000.bmp")
    return tmp_path / "photos"


@pytest.fixture
def untouched(monkeypatch):
    """From here on no server may be asked for."""

    def refuse(*_, **__):
        raise AssertionError("a server was asked for")

    monkeypatch.setattr(servers, "ensure", refuse)


def test_from_a_dataset_to_pictures_like_one(answer, sightline, photos, tmp_path, monkeypatch):
    assert answer("ingest", photos, "--dataset", "bars")["images"] == 21
    model = registered(planned(pinned(tmp_path / "learned")))
    first = answer("index", "build", "bars", "--model", model.name)
    assert (first["images"], first["new"], first["unchanged"], first["kind"]) == (21, 21, False, "exact")
    assert first["dataset_version"] == versions()["bars"]
    assert sightline("index", "build", "bars", "--model", model.name)[1].splitlines()[0].count("nothing is new") == 1
    monkeypatch.setattr(servers, "ensure", lambda *_, **__: pytest.fail("looking asks for no server"))

    (row,) = answer("index", "list")["indexes"]
    assert (row["dataset"], row["of now"], row["images"], row["model"]) == ("bars", "yes", 21, str(model))
    asked = photos / "wide" / "001.png"
    found = answer("index", "search", asked, "--top-k", 4, "--concept", "wide", "--sheet", tmp_path / "some.jpg")
    assert [hit["concepts"] for hit in found["hits"]] == [["wide"]] * 4
    assert (found["hits"][0]["same"], found["looked_at"], found["sheet"]) == (True, 11, str(tmp_path / "some.jpg"))
    assert (tmp_path / "some.jpg").is_file()
    code, out, err = sightline("index", "search", asked, "--top-k", 2, "--box", "0,0,16,16.5")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["rank", "score", "image", "split", "concepts"]
    assert f"of 21 pictures of bars at {first['dataset_version'][:8]} by {model}" in out
    assert "\nsheet: " in out

    groups = answer("index", "duplicates", "--threshold", 0.99999)["groups"]
    assert {row["image"] for group in groups for row in group} >= {"tall/000.png", "wide/000.bmp"}
    code, out, _ = sightline("index", "duplicates", "--threshold", 0.99999)
    assert code == 0 and "0 of them copies byte for byte, among 21 of bars" in out

    written = answer("index", "export", tmp_path / "vectors.npz")
    with np.load(written["file"]) as file:
        assert file["embedding"].shape == (written["images"], written["dimension"])


def test_an_index_behind_its_dataset_is_searched_and_said_to_be(answer, sightline, photos, tmp_path):
    answer("ingest", photos, "--dataset", "bars")
    model = registered(planned(pinned(tmp_path / "learned")))
    answer("index", "build", "bars", "--model", model.name)
    gone = photos / "tall" / "002.png"
    content = gone.read_bytes()
    gone.unlink()
    newer = answer("ingest", photos, "--dataset", "bars")["dataset_version"]
    (tmp_path / "asked.png").write_bytes(content)
    code, out, err = sightline("index", "search", tmp_path / "asked.png", "--top-k", 1)
    assert (code, "tall/002.png" in out) == (0, True)
    assert f"it is at {newer[:8]} now. `sightline index build bars --model {model}` brings in what is new" in err
    done = answer("index", "build", "bars", "--model", str(model))
    assert (done["images"], done["new"], done["dataset_version"]) == (20, 0, newer)
    code, out, err = sightline("index", "search", tmp_path / "asked.png", "--top-k", 1)
    assert (code, err, "tall/002.png" in out) == (0, "", False)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["search"], "Missing argument"),
        (["search", "a.jpg", "--top-k", "0"], "'--top-k': Input should be greater than or equal to 1"),
        (["search", "a.jpg", "--top-k", "1001"], "'--top-k': Input should be less than or equal to 1000"),
        (["search", "a.jpg", "--box", "1,2,3"], "four numbers x0,y0,x1,y1 are wanted, got '1,2,3'"),
        (["search", "a.jpg", "--box", "5,0,5,9"], "x0 < x1 and y0 < y1, none below 0, are wanted"),
        (["search", "a.jpg", "--box", "0,0,nan,9"], "x0 < x1 and y0 < y1, none below 0, are wanted"),
        (["search", "a.jpg", "--metadata", "city"], "'city': write KEY=VALUE"),
        (["duplicates", "--threshold", "1.5"], "'--threshold': Input should be less than or equal to 1"),
        (["duplicates", "--threshold", "nan"], "'--threshold': Input should be"),
        (["build", "bars"], "Missing option '--model'"),
    ],
)
def test_wrong_use_is_told_before_anything_is_loaded(sightline, untouched, words, reason):
    code, out, err = sightline("index", *words)
    assert (code, out) == (2, "")
    assert reason in " ".join(err.split())


def test_without_an_index_it_is_said_how_to_make_one(sightline, untouched):
    for words in (["search", "a.jpg"], ["duplicates"], ["export", "a.npz"]):
        code, out, err = sightline("index", *words)
        assert (code, out) == (1, "")
        assert err.endswith("error: there is no index yet. `sightline index build DATASET --model NAME` makes it.\n")
    assert sightline("index", "list")[1] == "none. `sightline index build DATASET --model NAME`\n"


def test_every_command_has_an_example(sightline):
    group = typer.main.get_command(app).commands["index"]
    assert sorted(group.commands) == ["build", "duplicates", "export", "list", "search"]
    for name in group.commands:
        code, out, _ = sightline("index", name, "--help")
        assert code == 0 and f"Example: sightline index {name}" in out and "--json" in out
