"""`sightline up` and its kin, with stand-ins for what they start: other settings, failed deployments, kills."""

import os
import signal
import subprocess
import sys
import time

import pytest

from models.runtime.faults import Fault
from tasks import launch, servers
from tasks.processes import OWNER, bearing, end_all
from tasks.workspace import settle

# What `tasks.background` is, but its programs sleep; `deploy.py` beside servers.json is what deploying does.
STAND_IN = """
import os, sys, time
from tasks import background
from tasks.processes import TOKEN
from tasks.supervisor import Service

def services(wanted):
    sleep = (sys.executable, "-c", "import time; time.sleep(60)")
    urls = {"prefect": "http://127.0.0.1:4299", "mlflow": "http://127.0.0.1:5099"}
    found = [Service(name, sleep, url=urls[name]) for name in wanted if name in urls]
    if "worker" in wanted:
        deploy = (sys.executable, str(background.state() / "deploy.py"))
        found += [Service("deployments", deploy, once=True), Service("worker", sleep, after="deployments")]
    return found

(background.state() / "begun").write_text(os.environ[TOKEN])
time.sleep(SLOWLY)
background.services = services
background.main()
"""
UP = "import sys; from tasks import launch; launch.SUPERVISOR = (sys.executable, '-c', sys.argv[1])"
UP += "; launch.launch(('prefect', 'mlflow', 'worker'), print)"
PRINTED = {"PREFECT_API_URL": "http://127.0.0.1:4299/api", "MLFLOW_TRACKING_URI": "http://localhost:5099"}
THEIRS = {"PREFECT_API_URL": "http://prefect.example/api", "MLFLOW_TRACKING_URI": "http://me:secret@mlflow.example"}


def stand_in(seconds: float = 0.0) -> tuple[str, ...]:
    """The supervisor's command; so long it takes until it holds the lock."""
    return (sys.executable, "-c", STAND_IN.replace("SLOWLY", str(seconds)))


@pytest.fixture(autouse=True)
def state(workspace, monkeypatch):
    """Where the servers of this workspace keep things; no server is the user's, and none is left."""
    for name in (*PRINTED, "PREFECT_HOME", servers.OURS):
        monkeypatch.setenv(name, "")  # so that it is as before after the test, whatever the test does
        monkeypatch.delenv(name)
    settle()
    monkeypatch.setattr(launch, "SUPERVISOR", stand_in())
    for look in ("reach", "_look_at_store"):  # the user's own servers of this file answer
        monkeypatch.setattr(servers, look, lambda *given: "".join(given))
    folder = workspace / ".sightline"
    (folder / "deploy.py").write_text("")
    (workspace / "prefect.yaml").write_text("deployments:\n")
    yield folder
    begun = folder / "begun"
    for token in {launch.content().get("token"), begun.read_text() if begun.exists() else None} - {None}:
        end_all(token, patience=0.5)


def wait_until(true, seconds: float = 10.0):
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return answer


def set_all(monkeypatch, settings: dict[str, str]):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def killed(state):
    """Start the servers in a process of its own and kill it: while they start, or `early`, before there is a lock."""

    def start(early: bool) -> str:
        process = subprocess.Popen([sys.executable, "-c", UP, stand_in(1.5 if early else 0.0)[2]])
        token = wait_until(lambda: (state / "begun").exists() and (state / "begun").read_text())
        wait_until(lambda: early or launch.content().get("services"))
        process.kill()
        process.wait()
        return token

    return start


@pytest.mark.parametrize("early", [True, False], ids=["before there is a lock", "while services start"])
def test_who_is_killed_while_it_starts_the_servers_leaves_nothing(early, killed):
    token = killed(early)
    again = servers.up(lambda _: None)
    assert again.started is early
    assert bool(bearing(token)) is not early
    assert servers.status().pids.keys() == {"prefect", "mlflow", "worker"}
    assert servers.down(lambda _: None)
    assert not bearing(token) and not launch.content() and not launch.supervised()


def test_down_finds_what_has_only_begun_to_start(killed):
    token = killed(early=True)
    servers.down()
    assert not bearing(token)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "[" * 100_000,
        '{"token": 1, "supervisor": "x", "addresses": {}, "services": {"prefect": 3}}',
        '{"token": "any", "supervisor": -1, "addresses": {}, "services": {}}',
    ],
    ids=range(4),
)
def test_down_ends_everything_whatever_became_of_servers_json(state, written):
    token = launch.content()["token"] if servers.up(lambda _: None).started else ""
    assert bearing(token)
    (state / "servers.json").write_text(written)
    with pytest.raises(Fault, match=r"`sightline down` first"):
        servers.up()
    assert servers.down(lambda _: None)
    assert not bearing(token) and not launch.supervised()
    assert servers.up(lambda _: None).started


def test_servers_with_other_settings_are_neither_used_nor_stopped(monkeypatch):
    before = servers.up(lambda _: None)
    set_all(monkeypatch, THEIRS)
    reason = r"started with other settings \(PREFECT_API_URL was not set, is http://prefect.example/api now; MLFLOW_"
    with pytest.raises(Fault, match=reason):
        servers.up()
    assert servers.status().supervisor == before.supervisor


def test_a_worker_for_the_users_servers_is_not_stopped_by_a_shell_without_them(monkeypatch):
    set_all(monkeypatch, THEIRS)
    before = servers.up(lambda _: None)
    assert set(before.pids) == {"worker"}
    assert servers.up(lambda _: None).started is False
    for name in THEIRS:
        monkeypatch.delenv(name)
    with pytest.raises(Fault, match=r"PREFECT_API_URL was http://prefect.example/api, is not set now") as fault:
        servers.ensure()
    assert "`sightline down` first" in str(fault.value)
    assert "secret" not in str(fault.value) + (launch.state() / "servers.json").read_text()
    now = servers.status()
    assert (now.supervisor, now.prefect_api) == (before.supervisor, THEIRS["PREFECT_API_URL"])


def test_an_address_with_a_password_is_the_same_each_time_and_never_used_without_it(monkeypatch, state):
    api = "https://me:secret@prefect.example/api"
    monkeypatch.setenv("PREFECT_API_URL", api)
    said = []
    (state / "deploy.py").write_text(
        "import os; from tasks import deployments as d; d._remember(os.environ['PREFECT_API_URL'], d._digest(), set())"
    )
    servers.up(said.append)
    servers.up(said.append)
    assert not [sentence for sentence in said if sentence.endswith("deploying again")]
    assert "secret" not in (state / "prefect" / "deployed.json").read_text()
    assert servers.connect() == api
    monkeypatch.delenv("PREFECT_API_URL")
    with pytest.raises(Fault, match=r"\(the worker was started with https://prefect\.example/api\)"):
        servers.connect()
    assert "PREFECT_API_URL" not in os.environ


def test_what_up_printed_is_not_the_users_own(monkeypatch, state):
    servers.up(lambda _: None)
    set_all(monkeypatch, PRINTED)
    assert servers.up(lambda _: None).started is False
    assert servers.ensure() == PRINTED["PREFECT_API_URL"]
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{state}/mlflow.db"


def test_what_up_printed_is_not_the_users_own_after_down_either(monkeypatch):
    servers.up(lambda _: None)
    servers.down(lambda _: None)
    set_all(monkeypatch, PRINTED)
    said = []
    assert set(servers.up(said.append).pids) == {"prefect", "mlflow", "worker"}
    assert said[:2] == [f"nothing answers at {url}: {name} counts as not set" for name, url in PRINTED.items()]


def test_servers_end_with_their_owner(monkeypatch):
    """Such as the run of tests that started them, however it ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        monkeypatch.setenv(OWNER, str(owner.pid))
        servers.up(lambda _: None)
        assert launch.supervised()
    wait_until(lambda: not launch.supervised())


def test_servers_that_lack_what_is_wanted_are_not_stopped_for_it():
    servers.ensure(lambda _: None, wanted=("prefect",))
    with pytest.raises(Fault, match=r"other settings \(without mlflow; without worker\)"):
        servers.up()
    assert servers.status() is not None


def test_deployments_that_fail_are_told_with_their_log_and_tried_again(state):
    said = []
    (state / "deploy.py").write_text("raise SystemExit('flows.nothing: no such flow')")
    found = servers.up(said.append)
    assert found.deployments == "failed"
    assert "could not be deployed" in said[-1] and said[-1].endswith("flows.nothing: no such flow")
    assert found.notes == tuple(said[-1:])
    (state / "deploy.py").write_text("")
    mended = servers.up(said.append)
    assert (mended.deployments, mended.notes) == ("ready", ())
    assert said[-1].endswith("could not be deployed: deploying again")


def test_an_app_that_is_left_as_it_is_is_named(workspace):
    (workspace / "apps").mkdir()
    (workspace / "apps" / "broken.yaml").write_text("name: broken\n")
    said = []
    found = servers.up(said.append)
    assert found.notes[0].startswith("broken is left as it is: ")
    assert found.notes[0] in said


def test_what_runs_once_is_done_anew_when_asked_and_who_asked_can_tell():
    servers.up(lambda _: None)
    before = launch.content()["services"]["deployments"]["restarts"]
    os.kill(launch.content()["supervisor"], signal.SIGHUP)
    assert launch.outcome("deployments", before) == "done"
    assert launch.outcome("nothing of that name") == ""
