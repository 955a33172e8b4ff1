"""The background processes: who is started, who is ended when something is killed. With stand-ins for the servers."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from models.runtime.faults import Fault
from tasks import addresses, background, launch, servers
from tasks.processes import SERVICE, TOKEN, bearing, end, end_all

CODE = Path(__file__).resolve().parents[2]

# A server that has a child in a session of its own: what a process group does not reach.
SERVER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
time.sleep(60)
"""
SUPERVISOR = """
import os, sys, json
from pathlib import Path
from tasks import supervisor
supervisor.SWEEP_SECONDS = 0.3
supervisor.RESTARTS = 2
folder, owner, services = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
(folder / "logs").mkdir(parents=True, exist_ok=True)
made = [supervisor.Service(command=(sys.executable, "-c", code), **given) for code, given in services]
supervisor.Supervisor(os.environ["SIGHTLINE_SERVERS"], made, folder, owner).run()
"""


@pytest.fixture(autouse=True)
def state(workspace, monkeypatch):
    """Where the servers of this workspace keep things; no server is the user's."""
    folder = workspace / ".sightline"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PREFECT_HOME", str(folder / "prefect"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv(servers.OURS, raising=False)
    return folder


@pytest.fixture
def token():
    """Of this test's processes; whatever it leaves is ended."""
    name = f"test-{os.urandom(6).hex()}"
    yield name
    end_all(name, patience=0.5)


@pytest.fixture
def supervise(state, token):
    """Start a supervisor of stand-ins, and wait until it says how they do."""
    started = []

    def start(*services: tuple[str, dict], owner: int = 0) -> subprocess.Popen:
        command = [sys.executable, "-c", SUPERVISOR, str(state), str(owner or os.getpid()), json.dumps(services)]
        environment = {**os.environ, TOKEN: token, "PYTHONPATH": str(CODE)}
        process = subprocess.Popen(command, env=environment, cwd=state)
        started.append(process)
        wait_until(lambda: launch.content() or process.poll() is not None)
        return process

    yield start
    end_all(token, patience=0.5)
    for process in started:
        process.wait()


def wait_until(true, seconds: float = 10.0):
    """What `true` answers once it is true."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.03)
    return answer


def services() -> dict:
    return launch.content()["services"]


def family(token: str, service: str) -> set[int]:
    """A stand-in and its child, once both are there."""

    def both():
        found = {process.pid for process in bearing(token, service)}
        return found if len(found) == 2 else None

    return wait_until(both)


def sentinel(token: str) -> int:
    return next(process.pid for process in bearing(token) if "tasks.sentinel" in process.cmdline())


def test_a_killed_supervisor_leaves_nothing(supervise, token):
    process = supervise((SERVER, {"name": "one"}), (SERVER, {"name": "two"}))
    family(token, "one"), family(token, "two")
    process.kill()
    wait_until(lambda: not bearing(token))


def test_a_killed_sentinel_ends_everything(supervise, token):
    process = supervise((SERVER, {"name": "one"}))
    family(token, "one")
    os.kill(sentinel(token), signal.SIGKILL)
    wait_until(lambda: not bearing(token))
    assert process.wait(5) == 0


def test_a_stopped_supervisor_ends_everything(supervise, token):
    process = supervise((SERVER, {"name": "one"}))
    family(token, "one")
    process.terminate()
    assert process.wait(10) == 0
    assert not bearing(token)
    assert services()["one"]["pid"] == 0


def test_a_killed_service_starts_again_without_its_old_children(supervise, token):
    supervise((SERVER, {"name": "one"}), (SERVER, {"name": "two"}))
    old, other = family(token, "one"), family(token, "two")
    os.kill(services()["one"]["pid"], signal.SIGKILL)
    wait_until(lambda: services()["one"]["restarts"] == 1 and services()["one"]["condition"] == "ready")
    assert not family(token, "one") & old
    assert family(token, "two") == other


def test_a_child_whose_parent_was_killed_is_ended(supervise, token):
    grandparent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SERVER!r}]); time.sleep(60)"
    supervise((grandparent, {"name": "one"}))
    wait_until(lambda: len(bearing(token, "one")) == 3)
    next(process for process in bearing(token, "one") if process.ppid() == services()["one"]["pid"]).kill()
    wait_until(lambda: {process.pid for process in bearing(token, "one")} == {services()["one"]["pid"]})
    assert services()["one"]["restarts"] == 0


def test_a_service_that_cannot_start_is_named(supervise, token):
    fails = ("raise SystemExit(3)", {"name": "two", "health": "http://127.0.0.1:1/"})
    process = supervise((SERVER, {"name": "one"}), fails)
    process.wait(10)
    assert not bearing(token)
    assert launch.content()["fault"] == "two ended with status 3"


def test_a_service_that_keeps_dying_is_given_up(supervise, token):
    process = supervise(("import time; time.sleep(0.2)", {"name": "one"}))
    process.wait(15)
    assert services()["one"] == {"pid": 0, "url": "", "condition": "failed", "restarts": 3}


def test_everything_ends_with_its_owner(supervise, token):
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process = supervise((SERVER, {"name": "one"}), owner=owner.pid)
    family(token, "one")
    owner.kill()
    owner.wait()
    process.wait(10)
    assert not bearing(token)


def test_what_runs_once_comes_first_and_again_when_asked(supervise, token, workspace):
    once = f"open({str(workspace / 'ran')!r}, 'a').write('x')"
    process = supervise((once, {"name": "first", "once": True}), (SERVER, {"name": "then", "after": "first"}))
    family(token, "then")
    assert services()["first"]["condition"] == "done"
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: (workspace / "ran").read_text() == "xx")


def test_only_processes_with_the_token_are_ended(token):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine = subprocess.Popen(sleep, env={**os.environ, TOKEN: token, SERVICE: "one"})
    other = subprocess.Popen(sleep, env={**os.environ, TOKEN: "another"})
    try:
        wait_until(lambda: bearing(token))
        assert end_all(token, "two") == 0
        assert end_all(token) == 1
        assert mine.poll() is not None
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_who_does_not_stop_is_made_to(token):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], env={**os.environ, TOKEN: token}, stdout=subprocess.PIPE)
    process.stdout.readline()
    end_all(token, patience=0.3)
    assert process.poll() is not None
    process.stdout.close()


def test_a_server_of_the_users_is_used_and_nothing_is_started(monkeypatch, port):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    assert servers.ensure() == servers.connect() == f"http://127.0.0.1:{port}/api"
    assert servers.status() is None


@pytest.mark.parametrize("url", ["garbage", "ftp://me:secret@x", "/a/folder", "http://nobody.invalid/api"])
def test_a_prefect_server_of_the_users_that_cannot_be_used_is_named(monkeypatch, url, state):
    monkeypatch.setenv("PREFECT_API_URL", url)
    for act in (servers.ensure, servers.connect, servers.up):
        with pytest.raises(Fault, match=f"PREFECT_API_URL is '{url.replace('me:secret@', '')}', which cannot be used"):
            act()
    assert not (state / "servers.json").exists()


def test_a_store_of_the_users_that_cannot_be_used_is_named_before_anything_is_started(monkeypatch, state):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://x")
    for act in (servers.ensure, servers.up):
        with pytest.raises(Fault, match="MLFLOW_TRACKING_URI is 'ftp://x', which cannot be used"):
            act()
    assert not (state / "servers.json").exists()


def test_who_needs_no_store_does_without_the_users(monkeypatch, port):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nobody.invalid")
    assert servers.ensure(store=False) == f"http://127.0.0.1:{port}/api"
    with pytest.raises(Fault, match="nobody"):
        servers.ensure()


def test_what_is_the_users_own_is_not_started(monkeypatch):
    assert servers._wanted() == ("prefect", "mlflow", "worker")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert servers._wanted() == ("worker",)
    assert [service.name for service in background.services(["worker"])] == ["deployments", "worker"]


@pytest.fixture
def port():
    """Of this machine, at which something listens that answers as a Prefect server without runs."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(b"[]")

        def do_GET(self):
            version = self.path.endswith("version")
            self.reply(b'"3.0.0"' if version else b"{}", 200 if version else 404)

        def reply(self, content: bytes, status: int = 200):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_an_address_on_this_machine_where_nobody_listens_counts_as_not_set(monkeypatch, state, capsys):
    """Such as those that `up` printed, after `down`."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        silent = f"http://me:secret@127.0.0.1:{closed.getsockname()[1]}/api"
    monkeypatch.setenv("PREFECT_API_URL", silent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent.replace("127.0.0.1", "localhost"))
    with pytest.raises(Fault, match="no Prefect server is up"):
        servers.connect()
    assert servers._wanted() == ("prefect", "mlflow", "worker")
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{state}/mlflow.db"
    said = capsys.readouterr().err
    assert "/api: PREFECT_API_URL counts as not set" in said and "secret" not in said


def test_what_a_killed_supervisor_wrote_does_not_make_a_server_ours(monkeypatch, port, state):
    """After a reboot, say: at its port there is the user's own now."""
    url = f"http://127.0.0.1:{port}"
    service = {"pid": 0, "url": url, "condition": "ready", "restarts": 0}
    left = {"token": "any", "supervisor": 0, "addresses": {}, "services": {"prefect": service}}
    (state / "servers.json").write_text(json.dumps(left))
    assert launch.content() == left
    monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")
    assert servers.ensure() == servers.connect() == f"{url}/api"


@pytest.mark.parametrize(
    "url", ["https://prefect.example:1/api", "http://localhost:many/api", "http://[x/api", "sqlite:///x@y/a.db", ""]
)
def test_only_this_machine_is_asked_whether_somebody_listens(url):
    assert addresses.silent(url) is False


def test_looking_without_a_server_says_how_to_start_one():
    with pytest.raises(Fault, match=r"no Prefect server is up: `sightline up` starts it"):
        servers.connect()


def test_nothing_to_stop():
    assert servers.down() == ()


def test_a_server_that_does_not_come_up_is_named_with_its_log(monkeypatch):
    said = []
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "nonsense")  # Prefect refuses to be imported
    space = shutil.disk_usage(".")._replace(free=3_000_000)
    with pytest.raises(Fault, match=r"(?s)prefect did not come up: see .*prefect\.log\n.*") as fault:
        servers.ensure(said.append, ("prefect",))
    assert "full" not in str(fault.value)
    monkeypatch.setattr("shutil.disk_usage", lambda _: space)
    assert re.match(r"the disk of .*\.sightline is full \(3 MB are free\), make room there", launch.tail("prefect"))
    assert said == ["starting in the background: prefect"]
    assert servers.status() is None


@pytest.mark.parametrize("written", [{}, {"token": "any", "supervisor": 0, "addresses": {}, "services": {}}])
def test_what_a_killed_pair_left_is_ended_by_the_next_stop(token, state, written):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, TOKEN: token})
    wait_until(lambda: bearing(token))
    (state / "servers.json").write_text(json.dumps(written))
    servers.down()
    assert left.poll() is not None
    assert not launch.content()


def test_processes_that_vanish_are_no_error(monkeypatch):
    gone = subprocess.Popen([sys.executable, "-c", ""], env={**os.environ, TOKEN: "any"})
    process = psutil.Process(gone.pid)
    gone.wait()
    monkeypatch.setattr(psutil, "process_iter", lambda: [process])  # it was there when the list was made
    assert bearing("any") == []
    end([process])
