"""A registered version answers anywhere: outside the project, without its libraries, exactly as in memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from models.runtime.predictor import Predictor
from tasks import register as verb
from tasks.plan import TrainingPlan
from tasks.registry import Version
from tests.registered import checkpoint, lively, pinned, planned

REFUSED = (
    "flows tasks models prefect pytorch_lightning lightning_fabric torchmetrics dvc sklearn supervision cv2 "
    "pycocotools matplotlib psutil typer rich"
)
ELSEWHERE = """
import json, sys
from importlib.machinery import ModuleSpec
from pathlib import Path

class Refuse:
    '''What is refused can be found, as torch and mlflow look for some of it, but not imported.'''
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in refused else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ImportError(f"{module.__name__} is refused here")

refused, models, paths = (json.loads(given) for given in sys.argv[1:])
sys.meta_path.insert(0, Refuse())

import mlflow, numpy, pandas
from PIL import Image

loaded = {name: mlflow.pyfunc.load_model(f"models:/{name}@challenger") for name in models}
table = pandas.DataFrame({"more": range(len(paths)), "image": paths})
arrays = [numpy.asarray(Image.open(path)) for path in paths]
forms = {
    "table": table, "series": table["image"], "columns": {"image": paths},
    "paths": [Path(path) for path in paths], "texts": paths, "bytes": [Path(path).read_bytes() for path in paths],
    "arrays": arrays, "array": numpy.stack(arrays), "pictures": [Image.open(path) for path in paths],
}
alone = {"path": paths[0], "bytes": Path(paths[0]).read_bytes(), "array": arrays[0], "picture": Image.open(paths[0])}

def answer(name, given, **params):
    return loaded[name].predict(given, params=params).to_dict(orient="records")

def refusal(given):
    try:
        answer(models[0], given)
    except Exception as error:
        return str(error)

print(json.dumps({
    "own": {name: answer(name, table) for name in models},
    "all": {name: answer(name, table, threshold=0.0) for name in models},
    "sure": {name: answer(name, table, threshold=0.5) for name in models},
    "forms": {form: answer(models[0], given) for form, given in forms.items()},
    "alone": {form: answer(models[0], given) for form, given in alone.items()},
    "none": [loaded[name].predict([]).columns.tolist() for name in models],
    "refusals": [refusal(pandas.DataFrame({"path": paths})), refusal([arrays[0], b"no picture"])],
    "imported": sorted(name for name in sys.modules if name.split(".")[0] in refused),
}))
"""


def in_memory(plan: TrainingPlan, change: Any) -> tuple[Predictor, Version]:
    """The predictor as training leaves it, and the version that is registered from it."""
    done = checkpoint(plan, change)
    predictor = verb.predictor_of(plan, done, plan.dataset.open())
    return predictor, verb.register.fn(plan, done)


def flat(predictor: Predictor, pictures: list[str], least: float) -> list[dict[str, Any]]:
    """The predictor's answers as the rows of the registered model's table."""
    found = []
    for i, answer in enumerate(predictor.predict(pictures)):
        for row in answer.rows():
            box = dict(zip(("x0", "y0", "x1", "y1"), row.pop("box", ()), strict=False))
            found += [{"image": i} | row | box] if row["score"] >= least else []
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two classifiers' and two detectors' worth of answers from one process that never saw the project."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        digits, scenes = pinned(folder / "c", size=40), pinned(folder / "d", task="detection", size=40)
        classifier = in_memory(planned(digits), None)
        detector = in_memory(planned(scenes), lively)
        deaf = shutil.copytree(verb.RUNTIME, folder / "deaf")
        source = (deaf / "kinds.py").read_text()
        (deaf / "kinds.py").write_text(re.sub(r"(?m)^FLOOR = \S+", "FLOOR = 0.99", source))
        assert (deaf / "kinds.py").read_text() != source
        patch.setattr(verb, "RUNTIME", deaf)
        patch.setattr(verb, "read_back", lambda *_: None)  # it would notice
        other = in_memory(planned(scenes, seed=1), lively)
    dataset = digits.open()
    paths = [str(dataset.path(entry)) for entry in dataset.annotations[:3]]
    names = [version.name for _, version in (classifier, other, detector)]
    (folder / "cwd").mkdir()
    kept = ("PATH", "HOME", "OMP_NUM_THREADS", "MLFLOW_TRACKING_URI", "MLFLOW_DISABLE_TELEMETRY")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONPATH": ""}
    arguments = [json.dumps(given) for given in (REFUSED.split(), names, paths)]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *arguments],
        cwd=folder / "cwd", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(
        **json.loads(done.stdout),
        said=done.stderr,
        paths=paths,
        classifier=classifier,
        detector=detector,
        other=other,
    )


def test_a_classifier_answers_exactly_as_in_memory(run):
    predictor, version = run.classifier
    expected = flat(predictor, run.paths, 0.0)
    assert len({row["score"] for row in expected}) == 6
    assert run.own[version.name] == run.all[version.name] == expected


def test_a_detector_answers_exactly_as_in_memory(run):
    predictor, version = run.detector
    expected = flat(predictor, run.paths, 0.0)
    assert run.all[version.name] == expected
    sure = flat(predictor, run.paths, predictor.card.threshold)
    assert run.own[version.name] == sure
    assert 0 < len(sure) < len(expected)


def test_two_versions_in_one_process_answer_each_with_its_own_code(run):
    assert run.all[run.other[1].name] == []
    assert flat(run.other[0], run.paths, 0.0) != []  # with the project's code it would answer
    assert run.all[run.detector[1].name] != []


def test_the_threshold_can_be_set(run):
    predictor, version = run.classifier
    sure = flat(predictor, run.paths, 0.5)
    assert run.sure[version.name] == sure
    assert [row["image"] for row in sure] == [0, 1, 2]  # of two concepts that exclude each other, one
    assert run.sure[run.detector[1].name] == []


def test_pictures_come_in_any_form(run):
    expected = flat(run.classifier[0], run.paths, 0.0)
    assert {form for form, rows in run.forms.items() if rows != expected} == set()
    first = flat(run.classifier[0], run.paths[:1], 0.0)
    assert {form for form, rows in run.alone.items() if rows != first} == set()


def test_no_picture_gives_an_empty_table_with_its_columns(run):
    box = ["x0", "y0", "x1", "y1"]
    assert run.none == [["image", "concept", "score", *more] for more in ([], box, box)]


def test_what_is_no_picture_is_named(run):
    table, broken = run.refusals
    assert table == "a table of pictures has a column 'image', this one has: path"
    assert re.match(r"image 1: not an image in a known format", broken)


def test_nothing_of_the_project_is_imported_and_nothing_is_said(run):
    assert run.imported == []
    assert run.said == ""


def test_the_same_code_is_imported_once(run):
    from tasks.artifacts import artifacts
    from tasks.pyfunc import runtime

    first, second = (artifacts(version) / "runtime" for _, version in (run.classifier, run.detector))
    assert runtime(first) is runtime(second)
    assert runtime(artifacts(run.other[1]) / "runtime") is not runtime(first)
