"""What a workflow writes and sends: crops, labels that ingest takes, calls to hosts that were allowed."""

from __future__ import annotations

import csv
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks.data import formats
from tasks.data.video_writer import Writer
from tasks.inputs import Inputs
from tasks.predict import begun
from tasks.workflows import job_of
from tests.chained import lines, written
from tests.registered import answered


def run(champions, folder: Path, *rows: dict, **more: object) -> dict:
    find = {"id": "find", "model": champions.detector.name, "params": {"threshold": 0.0}, "inputs": ["image"]}
    best = {"id": "best", "operator": "top-k", "params": {"k": 2}, "inputs": ["find"]}
    classify = {"id": "classify", "model": champions.classifier.name, "inputs": ["image"]}
    job = job_of(written(folder / "w.yaml", [find, best, classify, *rows]))
    return answered(job, [champions.pictures], folder / "out", **more)


def test_crops_are_files_below_their_concept_and_a_table_says_whence(champions, tmp_path):
    crops = {"id": "crops", "operator": "image-crop", "inputs": ["image", "best"]}
    save = {"id": "save", "operator": "write-crops", "params": {"format": "png"}, "inputs": ["crops"]}
    done = run(champions, tmp_path, crops, save)
    assert done["acts"] == {"save": {"crops": 32, "folder": str(tmp_path / "out/acts/save")}}
    with (tmp_path / "out/acts/save/crops.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    for row in rows:
        path = tmp_path / "out/acts/save" / row["crop"]
        assert path.parent.name == row["concept"]
        with Image.open(path) as image:
            assert image.width == pytest.approx(float(row["x1"]) - float(row["x0"]), abs=2)
    assert not (tmp_path / "out/.sightline-parts").exists()


def test_sure_regions_are_accepted_unsure_ones_reviewed_and_the_rest_dropped(champions, tmp_path):
    label = {"id": "label", "operator": "write-annotations", "inputs": ["best"]}
    every = run(champions, tmp_path / "all", label | {"params": {"sure": 0.0, "unsure": 0.0}})
    assert every["acts"]["label"] == {"accepted": 16, "review": 0, "folder": str(tmp_path / "all/out/acts/label")}
    none = run(champions, tmp_path / "none", label | {"params": {"sure": 1.0, "unsure": 1.0}})
    assert (none["acts"]["label"]["accepted"], none["acts"]["label"]["review"]) == (0, 0)
    unsure = run(champions, tmp_path / "unsure", label | {"params": {"sure": 1.0, "unsure": 0.0}})
    assert unsure["acts"]["label"]["review"] == 16
    source = formats.read(tmp_path / "unsure/out/acts/label/review").images
    assert len(source) == 16
    first = min(source, key=lambda each: each.name)
    told = lines(tmp_path / "unsure/out")[0]
    boxes = [row["box"] for row in told["nodes"]["label"]["regions"]]
    assert [row["verdict"] for row in told["nodes"]["label"]["regions"]] == ["review"] * 2
    assert [list(box) for box in first.boxes] == [pytest.approx(box) for box in boxes]
    assert first.metadata["state"] == "review"


def test_frames_have_a_picture_each_and_nobodys_file_is_touched(champions, tmp_path):
    frames = tmp_path / "in"
    frames.mkdir()
    with Writer(frames / "clip.mp4", 64, 64, 10) as video:
        for i in range(3):
            video.write(Image.new("RGB", (64, 64), (60 * i, 0, 0)), i * 100.0)
    Image.new("RGB", (64, 64)).save(frames / "clip.jpg")
    before = (frames / "clip.jpg").read_bytes()
    label = {"id": "label", "operator": "write-annotations", "params": {"sure": 0.0, "unsure": 0.0}, "inputs": ["best"]}
    find = {"id": "best", "model": champions.detector.name, "params": {"threshold": 0.0}, "inputs": ["image"]}
    done = answered(job_of(written(tmp_path / "w.yaml", [find, label])), [frames], tmp_path / "out")
    assert done["acts"]["label"]["accepted"] == 4
    pictures = sorted(path.name for path in (tmp_path / "out/acts/label/accepted/images").iterdir())
    assert pictures == ["clip-000000.jpg", "clip-000001.jpg", "clip-000002.jpg", "clip.jpg"]
    assert (frames / "clip.jpg").read_bytes() == before
    assert (frames / "clip.jpg").stat().st_nlink == 1


def test_the_best_concept_becomes_a_label(champions, tmp_path):
    label = {"id": "label", "operator": "write-annotations", "params": {"sure": 0.5}, "inputs": ["classify"]}
    assert run(champions, tmp_path, label)["acts"]["label"]["accepted"] == 16
    source = sorted(formats.read(tmp_path / "out/acts/label/accepted").images, key=lambda each: each.name)
    answers = [line["nodes"]["classify"]["concepts"] for line in lines(tmp_path / "out")]
    best = [max(rows, key=lambda row: row["score"])["concept"] for rows in answers]
    assert [each.concepts for each in source] == [(concept,) for concept in best]


@pytest.fixture
def listener():
    """A server that notes what is posted to it, and what it is to answer."""
    heard: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(server.answer)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.answer = 204  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(heard=heard, host=f"127.0.0.1:{server.server_port}", server=server)
    server.shutdown()
    server.server_close()


def hook(listener, **params: object) -> dict:
    return {
        "id": "tell",
        "operator": "webhook",
        "params": {"url": f"http://{listener.host}/found", **params},
        "inputs": ["best"],
    }


def test_a_host_that_was_allowed_is_told_so_many_pictures_at_a_time(champions, tmp_path, listener):
    done = run(champions, tmp_path, hook(listener, rows=10), allow=(listener.host,))
    assert [len(call["pictures"]) for call in listener.heard] == [10, 6]
    assert listener.heard[0]["node"] == "tell"
    assert len(listener.heard[0]["pictures"][0]["regions"]) == 2
    assert done["acts"]["tell"]["calls"] == 2


def test_nothing_is_sent_to_a_host_that_was_not_allowed_and_that_is_said_before_the_work(champions, tmp_path, listener):
    job = job_of(
        written(
            tmp_path / "w.yaml", [{"id": "best", "model": champions.detector.name, "inputs": ["image"]}, hook(listener)]
        )
    )
    with pytest.raises(
        Fault, match=rf"tell: .*its host is not allowed \(none is\)\. Allow it with --allow-host {listener.host}"
    ):
        begun(job, Inputs(paths=("a",)), [], False)
    assert listener.heard == []


@pytest.mark.parametrize("answer", [500, 404, 302])
def test_a_call_that_is_not_taken_is_a_fault_and_the_answers_are_kept_for_the_next_try(
    champions, tmp_path, listener, answer
):
    listener.server.answer = answer
    with pytest.raises(Fault, match=rf"/found: answered {answer}"):
        run(champions, tmp_path, hook(listener), allow=(listener.host,))
    assert not (tmp_path / "out/predictions.jsonl").exists()
    assert list((tmp_path / "out/.sightline-parts").glob("*.json"))
