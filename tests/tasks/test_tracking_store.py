import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tasks import tracking_store

CODE = Path(__file__).resolve().parents[2]


@pytest.fixture
def database(workspace, monkeypatch):
    """Where the store goes; nothing is there yet."""
    path = workspace / ".sightline" / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    return path


def ask(database: Path, sql: str):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchone()[0]


def test_two_processes_make_one_store(database):
    command = [sys.executable, "-c", "from tasks.tracking_store import prepare_store; prepare_store()"]
    environment = {**os.environ, "PYTHONPATH": str(CODE)}
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0), ("", 0)]
    assert ask(database, "PRAGMA journal_mode") == "wal"
    location = ask(database, "SELECT artifact_location FROM experiments")
    assert location == (database.parent / "mlartifacts" / "0").as_uri()
    assert ask(database, "PRAGMA integrity_check") == "ok"


def test_a_store_that_is_there_is_left_alone(database, monkeypatch):
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE experiments (name)")
        connection.execute("INSERT INTO experiments VALUES ('Default')")
    monkeypatch.setattr(tracking_store, "_create", lambda *_: pytest.fail("created again"))
    tracking_store.prepare_store()


def test_a_server_of_the_users_is_theirs_to_prepare(workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    tracking_store.prepare_store()
    assert tracking_store.store() == "http://mlflow.example"
    assert not list(workspace.glob(".sightline/mlflow*"))
