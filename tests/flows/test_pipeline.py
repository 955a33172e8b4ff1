"""One product's night, from labelled pictures to a champion; and what is said when something is wrong."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import flow, task
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client

from flows.cli.output import run
from flows.evaluate import evaluate
from flows.pipeline import Outcome, pipeline
from models.runtime.faults import Fault
from tasks.registry import client, resolve, versions
from tasks.workspace import state
from tests.drawn import SHAPES, shapes
from tests.registered import numbers


def product(root, **changed: Any) -> str:
    """An app on 20 drawn pictures in class folders, under a name of its own."""
    drawn = shapes(root / "drawn", train=20, val=0, size=32)
    for entry in drawn.annotations:
        target = root / "photos" / entry.concepts[0] / entry.image
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn.path(entry), target)
    name = f"bars-{next(numbers)}"
    training = {"template": "resnet18", "image_size": 32, "batch_size": 4, "epochs": 1}
    app = {"name": name, "source": "photos", "dataset": name, "training": training} | changed
    (root / "apps").mkdir()
    (root / "apps" / f"{name}.yaml").write_text(yaml.safe_dump(app))
    return name


@pytest.fixture(scope="module")
def nights(tmp_path_factory, prefect_server):
    """Two nights of an app with nothing new in the second."""
    root = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(root))
        name = product(root, gate={"metric": "accuracy"})
        first = pipeline(name)
        shown = {key: Artifact.get(f"{key}-{name}-classifier").data for key in ("training", "promotion")}
        second = pipeline(name)
    return SimpleNamespace(name=name, model=f"{name}-classifier", first=first, second=second, shown=shown)


def test_a_first_night_ends_with_a_champion(nights):
    done: Outcome = nights.first
    assert done.trained and done.promotion.promoted
    assert (done.evaluation.model, done.evaluation.split, done.evaluation.images) == (f"{nights.model}/1", "test", 2)
    assert done.evaluation.seen_in_training == 0
    assert done.promotion.why.startswith(f"{nights.model}/1 is the first champion of {nights.model}: accuracy ")
    version = resolve(nights.model)
    assert (version.number, version.aliases, version.dataset) == (1, ("challenger", "champion"), nights.name)
    assert version.metrics["test.accuracy"] == pytest.approx(done.evaluation.metrics["accuracy"], abs=1e-6)


def test_a_night_with_nothing_new_trains_and_promotes_nothing(nights):
    done: Outcome = nights.second
    assert not done.trained and not done.promotion.promoted
    assert done.promotion.why.startswith(f"{nights.model}/1 is the champion already: accuracy ")
    assert done.evaluation == nights.first.evaluation.model_copy(update={"measured_before": True})
    assert [version.number for version in versions(nights.model)] == [1]


def test_the_runs_are_in_mlflow_under_the_app(nights):
    found = client().get_experiment_by_name(nights.name)
    runs = client().search_runs([found.experiment_id])
    assert sorted(run.data.tags["stage"] for run in runs) == ["evaluate", "train"]


def test_the_page_shows_what_was_found_and_decided(nights):
    text = Artifact.get(f"evaluation-{nights.model}-1-{nights.name}-test").data
    assert "accuracy" in text and "| tall |" in text
    assert "data:image/jpeg;base64," in text and "## Confusion matrix" in text
    table = json.loads(Artifact.get(f"concepts-{nights.model}-1-{nights.name}-test").data)
    assert [row["Concept"] for row in table] == list(SHAPES)
    assert nights.shown["promotion"].startswith(f"# Promoted\n\n{nights.first.promotion.why}")
    assert "| epochs | 1 |" in nights.shown["training"]
    assert Artifact.get(f"promotion-{nights.model}").data.startswith("# Champion already\n")


def test_the_steps_are_in_the_prefect_ui_under_the_apps_name(nights):
    with get_client(sync_client=True) as prefect:
        runs = [each for each in prefect.read_task_runs(limit=200) if nights.name in each.tags]
    model = nights.model
    expected = {f"train {model}", f"register {model}", f"evaluate {model}/1 on test", f"promote {model}/1"}
    assert {each.name for each in runs} == expected
    assert {each.state_name for each in runs} == {"Completed"}


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


@pytest.fixture
def logged():
    """What Prefect logs of runs while a flow runs."""
    kept, loggers = Kept(), [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(kept)
    yield kept.records
    for logger in loggers:
        logger.removeHandler(kept)


def test_a_fault_in_a_flow_is_told_once_and_reaches_the_caller(logged):
    with pytest.raises(Fault, match="there is no model 'nobody-here'"):
        run(evaluate, "nobody-here")
    told = [record for record in logged if "nobody-here'" in record.getMessage()]
    assert [record.getMessage().partition(".")[0] for record in told] == ["there is no model 'nobody-here'"]
    assert [record for record in logged if record.exc_info or record.exc_text] == []


@task
def fails(error: BaseException) -> None:
    raise error


@flow
def failing(error: BaseException) -> None:
    fails(error)


def test_what_the_disk_is_the_cause_of_is_told_once_without_a_traceback(logged):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/file")
    with pytest.raises(type(error)):
        run(failing, error)
    told = [record.getMessage() for record in logged if record.levelno >= logging.ERROR or "exception" in record.msg]
    assert len(told) == 1 and told[0].startswith("/a/file: No space left on device")
    assert [record for record in logged if record.exc_info or record.exc_text] == []


@flow
def claims() -> list[str]:
    return [path.name for path in (state() / "commands").iterdir()]


def test_a_command_holds_its_run_for_as_long_as_it_runs(logged):
    (run_id,) = run(claims)
    with get_client(sync_client=True) as asked:
        assert asked.read_flow_run(UUID(run_id)).state_name == "Completed"
    assert list((state() / "commands").iterdir()) == []
    assert [record for record in logged if "hook" in record.getMessage().lower()] == []


def test_code_that_ends_the_program_does_not_end_it_as_done(logged):
    """Such as a registered version's own."""
    with pytest.raises(Fault, match=r"failing: code that it called ended the program \(exit code 0\)"):
        run(failing, SystemExit(0))


def test_a_training_that_is_interrupted_is_an_interruption(logged):
    """Lightning ends the program with 1 then."""
    end = SystemExit(1)
    end.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(failing, end)
    assert [record for record in logged if "Crash" in record.getMessage()] == []


def test_a_fault_in_a_task_of_a_flow_of_a_flow_is_told_once_too(logged, workspace):
    name = product(workspace, training={"template": "fcos_light"}, tolerance=0.0)
    (workspace / "photos/tall/broken.png").write_bytes(b"no picture")
    with pytest.raises(Fault, match=r"more than the tolerated 0\.0%") as refused:
        run(pipeline, name)
    assert [record.getMessage() for record in logged if "tolerated" in record.getMessage()] == [str(refused.value)]
    assert [record for record in logged if record.exc_info or record.exc_text] == []
