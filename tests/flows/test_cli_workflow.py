"""`sightline workflow`: checked, shown, run and registered; a part that fails is tried again, the others stand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.workflow import workflow
from models.runtime.faults import Fault
from tasks import inputs, predict
from tasks.output import PARTS
from tests.chained import lines, nodes, written
from tests.registered import numbers

CODE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(champions, tmp_path_factory):
    """The two champions, their pictures, and a workflow of them: its name and its file."""
    name = f"graded-{next(numbers)}"
    file = written(tmp_path_factory.mktemp("cli") / "w.yaml", nodes(champions), name)
    return SimpleNamespace(**vars(champions), name=name, file=file)


@pytest.fixture
def sightline(sightline, monkeypatch, prefect_server):
    """Call `sightline workflow …`, which asks the server of all tests."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    return partial(sightline, "workflow")


def test_check_tells_all_faults_and_exits_with_1(sightline, made, tmp_path):
    assert sightline("check", made.file) == (0, f"{made.name}: 5 nodes, no fault\n", "")
    rows = nodes(made)
    rows[2] = rows[2] | {"inputs": ["bst"]}
    code, out, err = sightline("check", written(tmp_path / "bad.yaml", rows))
    assert (code, out) == (1, "")
    assert "bad.yaml: 1 fault\n  crops: there is no node 'bst'." in err


def test_show_draws_the_graph(sightline, made, tmp_path):
    code, out, _ = sightline("show", made.file, "--picture", tmp_path / "graph.svg")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:6]] == ["image", "find", "best", "crops", "grade", "count"]
    assert "<svg" in (tmp_path / "graph.svg").read_text()
    code, _, err = sightline("show", made.file, "--picture", tmp_path / "graph.gif")
    assert (code, "a graph is drawn as .svg or .png" in err) == (1, True)


def test_operators_are_listed_with_every_parameter(sightline):
    listed = json.loads(sightline("operators", "--json")[1])["operators"]
    assert {"image-crop", "tile-merge", "byte-track", "webhook"} <= {row["operator"] for row in listed}
    told = json.loads(sightline("operators", "image-crop", "--json")[1])
    margin, _ = told["parameters"]
    assert (margin["parameter"], margin["default"], margin["range"]) == ("margin", 1.0, "above 0 to 10")
    code, _, err = sightline("operators", "image-corp")
    assert (code, "Did you mean 'image-crop'?" in err) == (1, True)


def test_run_answers_and_says_where(sightline, made, tmp_path):
    code, out, err = sightline(
        "run", made.file, made.pictures, tmp_path / "gone.png", "--output", tmp_path / "out", "--json"
    )
    assert code == 0, err
    done = json.loads(out)
    assert (done["workflow"], done["images"]) == (made.name, 16)
    assert done["rejected"][0]["path"] == str(tmp_path / "gone.png")
    assert len(lines(tmp_path / "out")) == 16


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name pictures, or --list FILE, or --dataset NAME"),
        (("a.png", "--dataset", "x"), "give either paths or --dataset"),
        (("a.png", "--split", "test"), "is a dataset's: name that with --dataset"),
        (("a.mp4", "--fps", "0"), "must be above 0"),
        (("a.mp4", "--fps", "1", "--every", "2"), "give either --fps or --every"),
    ],
)
def test_wrong_use_is_said_at_once(sightline, made, words, said):
    code, _, err = sightline("run", made.file, *words)
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())


def test_register_prints_how_to_load_it(sightline, made):
    code, out, err = sightline("register", made.file)
    assert code == 0, err
    assert f'mlflow.pyfunc.load_model("models:/{made.name}/1")' in out


def test_a_part_that_fails_is_tried_again_and_the_others_stand(made, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SHARD", 6)
    monkeypatch.setattr(predict.predict_shard, "retry_delay_seconds", 0)
    honest, tried = predict.line, []

    def once(job, flow, where, answers):
        if where["image"].endswith("007.png") and not tried:
            tried.append(where)
            raise ConnectionError("the disk of the other machine is away")
        return honest(job, flow, where, answers)

    monkeypatch.setattr(predict, "line", once)
    done = workflow(made.file, [str(made.pictures)], str(tmp_path / "out"))
    assert (done["images"], len(tried)) == (16, 1)


def test_a_part_that_fails_for_good_is_told_and_done_alone_the_next_time(made, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SHARD", 6)
    monkeypatch.setattr(predict.predict_shard, "retry_delay_seconds", 0)
    honest, asked = predict.line, []

    def never(job, flow, where, answers):
        asked.append(where["image"])
        if where["image"].endswith("007.png"):
            raise ConnectionError("the disk of the other machine is away")
        return honest(job, flow, where, answers)

    given = made.file, [str(made.pictures)], str(tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(Fault, match=r"1 of 3 parts failed, the first with: the disk"):
        patch.setattr(predict, "line", never)
        workflow(*given)
    assert len([path for path in asked if path.endswith("007.png")]) == 3
    asked.clear()
    monkeypatch.setattr(predict, "line", lambda *told: asked.append(told[2]["image"]) or honest(*told))
    assert workflow(*given)["images"] == 16
    assert [Path(path).stem for path in asked] == [f"{i:03d}" for i in range(6, 12)]


SLOW = """
import sys, time
from tasks import inputs, predict
inputs.SHARD = 4
honest = predict.line
def slowly(*told):
    time.sleep(0.2)
    return honest(*told)
predict.line = slowly
from flows.cli import main
sys.argv[0] = "sightline"
main()
"""


def test_killed_and_started_again_it_does_what_is_missing_and_the_bytes_are_the_same(
    made, tmp_path, monkeypatch, prefect_server, workspace
):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    command = [sys.executable, "-c", SLOW, "workflow", "run", made.file, str(made.pictures)]
    process = subprocess.Popen(
        [*command, "--output", str(tmp_path / "out")], cwd=CODE, env=os.environ, stderr=subprocess.DEVNULL
    )
    done = tmp_path / "out" / PARTS / "000004.json"
    ends = time.monotonic() + 120
    while not done.exists() and time.monotonic() < ends:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert done.exists()
    assert not (tmp_path / "out/predictions.jsonl").exists()
    stamp = done.stat().st_mtime_ns
    monkeypatch.setattr(inputs, "SHARD", 4)
    asked: list[str] = []
    honest = predict.line
    monkeypatch.setattr(predict, "line", lambda *told: asked.append(told[2]["image"]) or honest(*told))
    workflow(made.file, [], str(tmp_path / "out"), False, "", inputs.Inputs(paths=(str(made.pictures),)))
    assert stamp
    assert 4 <= len(asked) <= 8
    monkeypatch.setattr(predict, "line", honest)
    workflow(made.file, [], str(tmp_path / "whole"), False, "", inputs.Inputs(paths=(str(made.pictures),)))
    for name in ("predictions.jsonl", "predictions.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
