"""A training's MLflow run says which commit it is of, and what people delete in MLflow's UI is made again."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from tasks import tracking
from tasks.registry import client
from tasks.tracking import experiment, git_revision, start_run
from tasks.train import work_folder
from tests.registered import pinned, planned


@pytest.fixture
def plan(tmp_path):
    return planned(pinned(tmp_path / "shapes"))


def test_the_revision_is_the_commit_and_whether_files_differ(workspace):
    assert git_revision() == ""
    file = workspace / "file"
    file.write_text("one")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "file"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=workspace, check=True)
    revision = git_revision()
    assert len(revision) == 40
    file.write_text("two")
    assert git_revision() == revision + "+"


def test_without_git_there_is_no_revision(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_revision() == ""


def test_an_experiment_deleted_in_mlflow_is_brought_back():
    deleted = experiment("deleted by hand")
    client().delete_experiment(deleted)
    assert experiment("deleted by hand") == deleted
    assert client().get_experiment(deleted).lifecycle_stage == "active"


def test_an_interrupted_run_deleted_in_mlflow_is_made_anew(plan):
    folder = work_folder(plan)
    first = start_run(plan, folder)
    assert start_run(plan, folder) == first
    client().delete_run(first)
    second = start_run(plan, folder)
    assert second != first
    assert client().get_run(second).data.tags["plan"] == plan.digest


def test_the_page_of_a_file_is_mlflows(monkeypatch):
    assert tracking.page_of("0" * 32, "report/report.html") == ""  # a database, and no server
    monkeypatch.setattr(tracking.mlflow, "get_tracking_uri", lambda: "http://127.0.0.1:5000/")
    assert tracking.page_of("0" * 32, "report/report.html") == ""  # no such run
    info = SimpleNamespace(info=SimpleNamespace(experiment_id="7"))
    monkeypatch.setattr(tracking, "client", lambda: SimpleNamespace(get_run=lambda run: info))
    assert (
        tracking.page_of("abc", "report/a.html")
        == "http://127.0.0.1:5000/#/experiments/7/runs/abc/artifacts/report/a.html"
    )
    monkeypatch.undo()
    monkeypatch.setattr(tracking, "client", lambda: SimpleNamespace(get_run=lambda run: info))
    monkeypatch.setattr("tasks.servers.status", lambda: SimpleNamespace(mlflow_ui="http://127.0.0.1:5123"))
    assert tracking.page_of("abc", "a.html").startswith("http://127.0.0.1:5123/#/experiments/7/runs/abc/")
