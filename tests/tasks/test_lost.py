"""The runs that a killed worker or a killed command leaves."""

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tasks import lost

CODE = Path(__file__).resolve().parents[2]
HOLDS = "import sys, time; from tasks.lost import hold; kept = hold(sys.argv[1]); print(flush=True); time.sleep(60)"


@pytest.fixture
def prefect_stand_in():
    """Starts a server that knows these runs, id → (state, parent). Its address, and what it was told to change."""
    servers = []

    def start(known: dict[str, tuple[str, str | None]]):
        changed = {}

        def found(asked: dict) -> list[dict]:
            states = asked["flow_runs"]["state"]["type"]["any_"]
            parents = asked["flow_runs"].get("parent_flow_run_id", {"any_": [None]})["any_"]
            named = asked["flow_runs"].get("id", {}).get("any_")
            assert parents != [None] or named or asked["work_pools"] == {"name": {"any_": ["sightline"]}}
            ids = [run for run, (state, parent) in known.items() if state in states and parent in parents]
            ids = [run for run in ids if named is None or run in named]
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


def test_runs_that_nobody_runs_are_marked_as_crashed_with_those_they_called(prefect_stand_in):
    """A pipeline of the pool, the ingest it called, and one called by a run that the worker had marked already."""
    known = {"pipeline": ("RUNNING", None), "marked": ("CRASHED", None), "by hand": ("RUNNING", "a person")}
    known |= {"ingest": ("RUNNING", "pipeline"), "left": ("RUNNING", "marked"), "deep": ("PENDING", "ingest")}
    api, changed = prefect_stand_in(known)
    assert lost.crash_lost_runs(api) == 4
    assert set(changed) == {"pipeline", "ingest", "left", "deep"}
    state, force = changed["ingest"]["state"], changed["ingest"]["force"]
    assert (state["type"], force) == ("CRASHED", True)


def test_more_lost_runs_than_prefect_names_at_once(prefect_stand_in, monkeypatch):
    monkeypatch.setattr(lost, "PAGE", 3)
    api, changed = prefect_stand_in({str(number): ("RUNNING", None) for number in range(7)})
    assert lost.crash_lost_runs(api) == len(changed) == 7


@pytest.fixture
def command():
    """Starts a process that runs this run; they are killed."""
    started = []

    def start(run: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": str(CODE)}
        process = subprocess.Popen([sys.executable, "-c", HOLDS, run], env=environment, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_run_of_a_killed_command_is_marked_as_crashed_and_no_other(prefect_stand_in, command, workspace):
    known = {"killed": ("RUNNING", None), "child": ("RUNNING", "killed"), "alive": ("RUNNING", None)}
    known |= {"by hand": ("RUNNING", None), "done": ("COMPLETED", None)}
    api, changed = prefect_stand_in(known)
    dead, alive, done = command("killed"), command("alive"), command("done")
    lost.crash_lost_commands(api)
    assert changed == {}
    for process in (dead, done):
        process.kill()
        process.wait()
    lost.crash_lost_commands("http://127.0.0.1:9/api")  # nobody there: the next look finds them
    lost.crash_lost_commands(api)
    assert set(changed) == {"killed", "child"}
    assert [path.name for path in (workspace / ".sightline/commands").iterdir()] == ["alive"]
    assert alive.poll() is None


def test_the_process_of_a_commands_run_is_known_while_it_lives_and_no_other_is_taken_for_it(command, workspace):
    alive, dead = command("alive"), command("dead")
    assert lost.holder("alive").pid == alive.pid
    dead.kill()
    dead.wait()
    assert lost.holder("dead") is None
    assert lost.holder("nobody's") is None
    said = workspace / ".sightline/commands/alive"
    began = json.loads(said.read_text())["began"]
    for other in ({"pid": alive.pid, "began": began - 60}, {"pid": alive.pid}, {"pid": 2**22 + 1, "began": began}):
        said.write_text(json.dumps(other))
        assert lost.holder("alive") is None
    (said.parent / "free").write_text(json.dumps({"pid": alive.pid, "began": began}))
    assert lost.holder("free") is None  # the process lives, and holds no lock on it
