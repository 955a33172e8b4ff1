"""What runs in the background: ports, logs and the lock."""

import fcntl
import importlib.util
import socket
import sys
from http.client import BadStatusLine

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
        ("http://host:1/a@b", "http://host:1/a@b"),
        ("postgresql://me:se/cret@db/mlflow", "postgresql://db/mlflow"),
        ("postgresql://db/mlflow?password=secret&user=me", "postgresql://db/mlflow?password=…&user=me"),
        ("sqlite:///x@y/mlflow.db", "sqlite:///x@y/mlflow.db"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    assert addresses.shown(url) == shown


def test_who_only_looks_does_not_pass_for_a_supervisor(state):
    with (state / "servers.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not launch.supervised()


def test_a_large_log_is_turned_and_a_small_one_kept(state, monkeypatch):
    monkeypatch.setattr(background, "LOG_BYTES", 10)
    logs = state / "logs"
    logs.mkdir()
    (logs / "prefect.log").write_text("a long story of errors")
    (logs / "worker.log").write_text("short")
    background.turn_logs()
    assert sorted(path.name for path in logs.iterdir()) == ["prefect.log.1", "worker.log"]


@pytest.mark.parametrize("error", [OSError("refused"), BadStatusLine("half"), ValueError("no JSON")])
def test_a_server_that_talks_nonsense_does_not_end_the_supervisor(error, state, capsys):
    def before():
        raise error

    (state / "logs").mkdir()
    running = Running(Service("one", (sys.executable, "-c", ""), before=before))
    Supervisor("any", [running.service], state)._start(running)
    assert running.process.wait() == 0
    assert f"before one: {error}" in capsys.readouterr().err


def test_the_prefect_server_keeps_its_leases_where_it_finds_them_again(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "")
    (server,) = background.services(["prefect"])
    server.listening.close()
    where = server.environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
    assert importlib.util.find_spec(where) is not None
    assert not where.endswith(".memory")
