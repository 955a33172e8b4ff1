"""Workflows as files: read and checked against the registry, run in parts, gone on with, and registered."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import mlflow
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.runtime.faults import Fault
from tasks import gather as gather_room
from tasks import inputs, predict
from tasks.acts import finish
from tasks.artifacts import artifacts, card
from tasks.gather import gather
from tasks.inputs import Inputs, parts
from tasks.output import PARTS, output_folder
from tasks.predict import begun, predict_shard, standing
from tasks.register_workflow import register_workflow
from tasks.registry import resolve, versions
from tasks.workflows import from_file, job_of, planned, ready, single
from tests.chained import lines, nodes, written
from tests.registered import answered, numbers


def test_a_file_is_pinned_to_the_versions_there_are_now(champions, tmp_path):
    job = job_of(written(tmp_path / "w.yaml", nodes(champions)))
    models = [node["model"] for node in job.graph["workflow"]["nodes"] if "model" in node]
    assert models == [str(champions.detector), str(champions.classifier)]
    assert planned(job).name == job.name


def test_a_name_means_a_file_under_workflows(champions, workspace):
    written(workspace / "workflows" / "mine.yaml", nodes(champions), "mine")
    assert job_of("mine").name == "mine"
    with pytest.raises(Fault, match=r"there is no workflow 'mien'\. Under workflows/: mine\. Did you mean 'mine'\?"):
        from_file("mien")
    with pytest.raises(Fault, match=r"mien\.yaml: there is no such file\. Workflows here: workflows/mine\.yaml\."):
        job_of("mien.yaml")


def test_every_fault_of_a_file_is_told_at_once(champions, tmp_path):
    rows = nodes(champions)
    rows[0] = rows[0] | {"model": champions.detector.name + "x"}
    rows[4] = rows[4] | {"inputs": ["grad"]}
    with pytest.raises(Fault) as caught:
        job_of(written(tmp_path / "w.yaml", rows))
    first, *told = str(caught.value).split("\n  ")
    assert first == f"{tmp_path / 'w.yaml'}: 2 faults"
    assert told[0].startswith(f"find: there is no model '{champions.detector.name}x'. Registered: ")
    assert told[1].startswith("count: there is no node 'grad'. There are: ")


def test_an_alias_that_is_not_there_is_a_fault(champions, tmp_path):
    rows = [{"id": "find", "model": f"{champions.detector.name}@chmpion", "inputs": ["image"]}]
    with pytest.raises(Fault, match=r"find: \S+ has no alias 'chmpion'\. .*Did you mean 'champion'\?"):
        job_of(written(tmp_path / "w.yaml", rows))


@pytest.mark.parametrize("text", ["{", "a: [", "- !!python/object/apply:os.system [true]"])
def test_a_file_that_is_no_yaml_is_told(tmp_path, text):
    (tmp_path / "w.yaml").write_text(text)
    with pytest.raises(Fault, match=r"w\.yaml: cannot be read as YAML \("):
        job_of(str(tmp_path / "w.yaml"))


def test_checking_loads_no_weights(champions, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("tasks.workflows.load", never)
    planned(job_of(written(tmp_path / "w.yaml", nodes(champions))))


def test_each_picture_has_a_line_with_every_nodes_answer(champions, tmp_path):
    job = job_of(written(tmp_path / "w.yaml", nodes(champions)))
    done = answered(job, [champions.pictures], tmp_path / "out")
    rows = lines(tmp_path / "out")
    assert [row["image"] for row in rows] == [str(path) for path in sorted(champions.pictures.iterdir())]
    assert {tuple(row["nodes"]) for row in rows} == {("find", "best", "crops", "grade", "count")}
    for row in rows:
        boxes = {node: [region["box"] for region in row["nodes"][node]["regions"]] for node in ("best", "grade")}
        assert boxes["best"] == boxes["grade"]
        assert row["nodes"]["count"]["count"] == len(boxes["grade"]) == 3
    assert done["workflow"] == job.name
    assert sum(done["found"]["grade"].values()) == sum(done["found"]["count"].values()) == 48
    table = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    graded = [row for row in table if row["node"] == "grade"]
    assert len(graded) == 48
    assert {row["concept"] for row in graded} <= {"tall", "wide"}
    assert [row["parent"] for row in graded[:3]] == [0, 1, 2]


def test_a_run_that_was_cut_off_does_what_is_missing_and_gives_the_same_bytes(champions, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SHARD", 5)
    job, given = job_of(written(tmp_path / "w.yaml", nodes(champions))), Inputs(paths=(str(champions.pictures),))
    answered(job, [champions.pictures], tmp_path / "whole", draw=True)
    found, _ = parts(given)
    folder = tmp_path / "again"
    (folder / PARTS).mkdir(parents=True)
    before = [predict_shard.fn(job, part, given, folder, True) for part in found[:2]]
    half = folder / PARTS / f"{found[2].at:06d}"
    (half / "drawn").mkdir(parents=True)  # the third was at work when it was killed
    half.with_suffix(".jsonl").write_text("half a l")
    asked = []
    monkeypatch.setattr(predict, "ready", lambda job: asked.append(job) or ready(job))
    shards = [predict_shard.fn(job, part, given, folder, True) for part in found]
    assert shards[:2] == before
    assert len(asked) == len(found) - 2
    gather.fn(job, shards, [], folder)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(names) == 19
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_part_that_lost_lines_is_done_again(champions, tmp_path):
    job, given = job_of(written(tmp_path / "w.yaml", nodes(champions))), Inputs(paths=(str(champions.pictures),))
    (part,), _ = parts(given)
    folder = tmp_path / "out"
    (folder / PARTS).mkdir(parents=True)
    first = predict_shard.fn(job, part, given, folder, False)
    file = folder / PARTS / "000000.jsonl"
    whole = file.read_bytes()
    file.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert predict_shard.fn(job, part, given, folder, False) == first
    assert file.read_bytes() == whole


def test_a_key_that_stands_twice_is_told(tmp_path):
    (tmp_path / "w.yaml").write_text("workflow:\n  name: a\n  name: b\n  nodes: []\n")
    with pytest.raises(Fault, match=r"cannot be read as YAML \(the key 'name' stands twice, again in line 3\)"):
        job_of(str(tmp_path / "w.yaml"))


def test_a_workflow_does_not_take_a_models_name(champions, tmp_path):
    job = from_file(written(tmp_path / "w.yaml", nodes(champions)), champions.detector.name)
    told = rf"{champions.detector} is a visual-detector: a workflow cannot have its name\. Give another with --name"
    with pytest.raises(Fault, match=told):
        register_workflow.fn(job)
    assert len(versions(champions.detector.name)) == 1


def test_a_run_that_failed_at_its_end_leaves_nothing_double(champions, tmp_path, monkeypatch):
    save = {"id": "save", "operator": "write-crops", "inputs": ["crops"]}
    job = job_of(written(tmp_path / "w.yaml", nodes(champions, save=save)))
    run = begun(job, Inputs(), [], False)

    def once() -> None:
        with output_folder("w", run, str(tmp_path / "out")) as folder:
            answered(job, [champions.pictures], folder)

    with monkeypatch.context() as patch, pytest.raises(Fault, match="full"):
        patch.setattr(gather_room, "finish", lambda *told: (finish(*told), (_ for _ in ()).throw(Fault("full"))))
        once()
    once()
    answered(job, [champions.pictures], tmp_path / "whole")
    names = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert names == sorted(p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*") if p.is_file())


def test_a_part_whose_pictures_changed_is_done_again(champions, tmp_path):
    job, picture = job_of(written(tmp_path / "w.yaml", nodes(champions))), tmp_path / "1.png"
    Image.new("RGB", (64, 64)).save(picture)
    (tmp_path / "out" / PARTS).mkdir(parents=True)
    for size in (64, 80):
        Image.new("RGB", (size, size)).save(picture)
        given = Inputs(paths=(str(picture),))
        predict_shard.fn(job, parts(given)[0][0], given, tmp_path / "out", False)
    assert '"width": 80' in (tmp_path / "out" / PARTS / "000000.jsonl").read_text()


def test_a_run_is_known_by_what_it_answers(champions, tmp_path):
    file = written(tmp_path / "w.yaml", nodes(champions))
    same = begun(job_of(file), Inputs(paths=("a",)), [], False)
    assert begun(job_of(file), Inputs(paths=("a",)), [], False) == same
    others = [
        begun(job_of(file), Inputs(paths=("b",)), [], False),
        begun(job_of(file), Inputs(paths=("a",)), [], True),
        begun(single(champions.detector), Inputs(paths=("a",)), [], False),
    ]
    assert len({same, *others}) == 4


def test_the_other_parts_stand_when_one_fails():
    def state(result):
        return SimpleNamespace(result=lambda raise_on_failure: result)

    shard = predict.Shard(at=0, digest="", images=3)
    told = r"1 of 3 parts failed, the first with: the node is gone\. .*the same command again does these alone"
    with pytest.raises(Fault, match=told):
        standing([state(shard), state(OSError("the node is gone")), state(shard)])
    assert standing([state(shard)] * 2) == [shard] * 2


def test_a_fault_that_a_person_must_mend_ends_it_at_once():
    def state(result):
        return SimpleNamespace(result=lambda raise_on_failure: result)

    def never():
        yield state(Fault("mend it"))
        raise AssertionError("the next part was begun")

    with pytest.raises(Fault, match="mend it"):
        standing(never())


@pytest.fixture(scope="module")
def shipped(champions, tmp_path_factory):
    """The workflow registered, then registered again, and what its file answered."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        name = f"graded-{next(numbers)}"
        file = written(folder / "w.yaml", nodes(champions), name)
        first, second = register_workflow.fn(from_file(file)), register_workflow.fn(from_file(file))
        answered(from_file(file), [champions.pictures], folder / "out")
    return SimpleNamespace(name=name, first=first, second=second, out=folder / "out", file=file)


def test_a_workflow_is_one_version_with_its_parts_inside(shipped, champions):
    assert (shipped.first.type, shipped.first.aliases) == ("workflow", ("champion",))
    assert shipped.second == shipped.first
    assert len(versions(shipped.name)) == 1
    folder = artifacts(shipped.first)
    assert {path.name for path in (folder / "parts").iterdir()} == {champions.detector.slug, champions.classifier.slug}
    seen = set((folder / "trained_on.txt").read_text().split())
    assert seen == {
        digest for part in (folder / "parts").iterdir() for digest in (part / "trained_on.txt").read_text().split()
    }
    info = mlflow.models.get_model_info(f"models:/{shipped.name}@champion")
    assert [column.name for column in info.signature.outputs] == ["image", "find", "best", "crops", "grade", "count"]
    assert info.metadata["sightline"]["outputs"]["grade"] == "regions"


ALONE = """
import json, sys
import mlflow
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("flows", "tasks", "models", "prefect", "dvc", "pytorch_lightning"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}@champion")
table = model.predict(json.loads(sys.argv[2]))
print(json.dumps(table[["image", "find", "grade", "count"]].to_dict(orient="records")))
"""


def test_plain_mlflow_answers_as_the_file_does_without_this_project(shipped, champions, tmp_path):
    paths = [str(path) for path in sorted(champions.pictures.iterdir())]
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE, shipped.name, json.dumps(paths)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    expected = [row["nodes"] for row in lines(shipped.out)]
    assert [row["image"] for row in rows] == list(range(16))
    assert [{node: row[node] for node in ("find", "grade", "count")} for row in rows] == [
        {node: row[node] for node in ("find", "grade", "count")} for row in expected
    ]


def test_a_registered_workflow_runs_as_the_file_did(shipped, champions, tmp_path):
    job = job_of(shipped.name)
    assert job.name == f"{shipped.name}/1"
    answered(job, [champions.pictures], tmp_path / "out", draw=True)
    assert [row["nodes"] for row in lines(tmp_path / "out")] == [row["nodes"] for row in lines(shipped.out)]
    assert len(list((tmp_path / "out" / "drawn").rglob("*.jpg"))) == 16


def test_a_damaged_part_is_not_answered_with(shipped, tmp_path):
    job = job_of(shipped.name)
    weights = next((artifacts(shipped.first) / "parts").glob("*/weights.safetensors"))
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Fault, match=r"weights\.safetensors: damaged: its sha256 is"):
            ready(job.model_copy(update={"name": "another"}))
    finally:
        weights.write_bytes(whole)


def test_a_workflow_is_no_model(shipped):
    with pytest.raises(Fault, match=r"is a workflow, not a model: `sightline workflow run .+/1 PICTURES` asks it"):
        card(resolve(shipped.name))


def test_a_workflow_in_a_workflow_is_told(shipped, tmp_path):
    rows = [{"id": "inner", "model": shipped.name, "inputs": ["image"]}]
    with pytest.raises(Fault, match=r"inner: \S+/1 is a workflow: put its own nodes here"):
        job_of(written(tmp_path / "w.yaml", rows))
