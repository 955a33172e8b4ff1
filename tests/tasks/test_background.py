"""What runs in the background: ports, logs, the lock, and the runs that a killed worker leaves."""

import importlib.util
import json
import socket
import sys
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tasks import addresses, background, launch
from tasks.supervisor import Running, Service, Supervisor


@pytest.fixture(autouse=True)
def state(workspace):
    """Where the servers of this workspace keep things."""
    folder = workspace / ".sightline"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_taken_port_is_left_to_who_has_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = taken.getsockname()[1]
        with background.listen(usual) as found:
            address, port = found.getsockname()
    assert address == "127.0.0.1"
    assert port != usual


def test_one_supervisor_a_workspace():
    with background.alone() as first, background.alone(patience=0.1) as second:
        assert (first, second) == (True, False)
        assert launch.supervised()
    assert not launch.supervised()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host:1/api", "https://host:1/api"),
        ("https://me:se@cret@host/a@b", "https://host/a@b"),
        ("http://host/api", "http://host/api"),
        ("sqlite:///x@y/mlflow.db", "sqlite:///x@y/mlflow.db"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    assert addresses.shown(url) == shown


def test_a_large_log_is_turned_and_a_small_one_kept(state, monkeypatch):
    monkeypatch.setattr(background, "LOG_BYTES", 10)
    logs = state / "logs"
    logs.mkdir()
    (logs / "prefect.log").write_text("a long story of errors")
    (logs / "worker.log").write_text("short")
    background.turn_logs()
    assert sorted(path.name for path in logs.iterdir()) == ["prefect.log.1", "worker.log"]


def test_runs_that_nobody_runs_are_marked_as_crashed_with_those_they_called(prefect_stand_in):
    """A pipeline of the pool, the ingest it called, and one called by a run that the worker had marked already."""
    known = {"pipeline": ("RUNNING", None), "marked": ("CRASHED", None), "by hand": ("RUNNING", "a person")}
    known |= {"ingest": ("RUNNING", "pipeline"), "left": ("RUNNING", "marked"), "deep": ("PENDING", "ingest")}
    api, changed = prefect_stand_in(known)
    assert background.crash_lost_runs(api) == 4
    assert set(changed) == {"pipeline", "ingest", "left", "deep"}
    state, force = changed["ingest"]["state"], changed["ingest"]["force"]
    assert (state["type"], force) == ("CRASHED", True)


def test_more_lost_runs_than_prefect_names_at_once(prefect_stand_in, monkeypatch):
    monkeypatch.setattr(background, "PAGE", 3)
    api, changed = prefect_stand_in({str(number): ("RUNNING", None) for number in range(7)})
    assert background.crash_lost_runs(api) == len(changed) == 7


@pytest.mark.parametrize("error", [OSError("refused"), BadStatusLine("half"), ValueError("no JSON")])
def test_a_server_that_talks_nonsense_does_not_end_the_supervisor(error, state, capsys):
    def before():
        raise error

    (state / "logs").mkdir()
    running = Running(Service("one", (sys.executable, "-c", ""), before=before))
    Supervisor("any", [running.service], state)._start(running)
    assert running.process.wait() == 0
    assert f"before one: {error}" in capsys.readouterr().err


@pytest.fixture
def prefect_stand_in():
    """Starts a server that knows these runs, id → (state, parent). Its address, and what it was told to change."""
    servers = []

    def start(known: dict[str, tuple[str, str | None]]):
        changed = {}

        def found(asked: dict) -> list[dict]:
            states = asked["flow_runs"]["state"]["type"]["any_"]
            parents = asked["flow_runs"].get("parent_flow_run_id", {"any_": [None]})["any_"]
            assert parents != [None] or asked["work_pools"] == {"name": {"any_": ["sightline"]}}
            ids = [run for run, (state, parent) in known.items() if state in states and parent in parents]
            return [{"id": run} for run in ids[asked["offset"] :][: asked["limit"]]]

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                if self.path.endswith("/filter"):
                    self.wfile.write(json.dumps(found(asked)).encode())
                else:
                    changed[self.path.split("/")[-2]] = asked
                    self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/api", changed

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_prefect_server_keeps_its_leases_where_it_finds_them_again(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "")
    (server,) = background.services(["prefect"])
    server.listening.close()
    where = server.environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
    assert importlib.util.find_spec(where) is not None
    assert not where.endswith(".memory")
