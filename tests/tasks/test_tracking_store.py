import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from models.runtime.faults import Fault
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


@pytest.fixture
def slow_server():
    """An MLflow server without anything in it that takes its time; where it is, and what it was asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(self.path.split("?")[0])
            time.sleep(0.5)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_server_of_the_users_is_theirs_to_prepare_and_asked_once(workspace, monkeypatch, slow_server):
    url, asked = slow_server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    for _ in range(2):
        tracking_store.prepare_store()
    assert tracking_store.store() == url
    assert len(asked) == len(set(asked)) == 2
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3" and "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ
    assert not list(workspace.glob(".sightline/mlflow*"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://me:secret@127.0.0.1:9", "'http://127.0.0.1:9', which cannot be used (Connection refused). Start "),
        ("http://nobody.invalid", "(Name or service not known)"),
        ("garbage", "(The filesystem tracking backend"),
        ("ftp://x", "unsupported URI 'ftp://x'"),
        ("http://[x", "(Invalid IPv6 URL)"),
        ("sqlite:////proc/nope/x.db", "(No such file or directory)"),
        ("sqlite:////proc", "(unable to open database file)"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_at_once(workspace, monkeypatch, url, reason):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    with pytest.raises(Fault, match=f"^MLFLOW_TRACKING_URI is .*{re.escape(reason)}") as fault:
        tracking_store.prepare_store()
    assert "secret" not in str(fault.value) and len(str(fault.value)) < 500
