"""The supervisor seen from outside: is there one, start it, wait until its services answer, stop it."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil

from models.runtime.faults import Fault
from tasks.addresses import addresses
from tasks.background import turn_logs
from tasks.files import alone_at
from tasks.processes import TOKEN, end_all, tokens
from tasks.supervisor import log_file, write_state
from tasks.workspace import root, state

PATIENCE_SECONDS = 180.0  # a cold start takes 20 s on 2 busy cores, 6 s of them the creation of Prefect's database
ROOM = 20_000_000  # bytes: with less on the disk, two new databases and their journals do not fit
WRITTEN = {"token": str, "supervisor": int, "addresses": dict, "services": dict}  # in servers.json
SERVICE = {"pid": int, "url": str, "condition": str, "restarts": int}  # of each service in it
SUPERVISOR = (sys.executable, "-m", "tasks.background")

Say = Callable[[str], None]


def supervised() -> bool:
    """Whether a supervisor of this workspace is alive: it holds the lock."""
    try:
        with (state() / "servers.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who looks is in nobody's way who looks too
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def content() -> dict[str, Any]:
    """What the supervisor wrote last; empty when there is nothing, or what stands there is not what it writes."""
    try:
        found = json.loads((state() / "servers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not _fits(found, WRITTEN) or not all(isinstance(each, str) for each in found["addresses"].values()):
        return {}
    return found if all(_fits(each, SERVICE) for each in found["services"].values()) else {}


def _fits(found: Any, kinds: dict[str, type]) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in kinds.items())


def launching() -> AbstractContextManager[None]:
    """One process at a time starts or stops servers of this workspace; the next waits."""
    return alone_at(state() / "launch.lock", lambda: None)


def launch(wanted: tuple[str, ...], say: Say) -> bool:
    """Start the supervisor unless there is one. Whether one was started.

    Raises Fault when there is one with other settings, or without something that is wanted: it may be at work.
    """
    (state() / "logs").mkdir(parents=True, exist_ok=True)
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    with launching():  # two commands at once: one launches, the other finds
        if supervised():
            _compare(wanted, content())
            return False
        stop()  # what a killed one left
        turn_logs()
        say(f"starting in the background: {', '.join(wanted)}")
        _spawn(wanted)
        return True


def wait_for(names: tuple[str, ...], say: Say) -> dict[str, Any]:
    """Wait until those of these that are started here answer; what the supervisor says then.

    Raises Fault with the end of the log of who does not.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    told: set[str] = set()
    while True:
        now = content()
        services = now.get("services", {})
        here = {name for name in names if name in services}
        ready = {name for name in here if services[name]["condition"] == "ready"}
        for name in sorted(ready - told):
            say(f"{name} answers on {services[name]['url']}")
        told = ready
        if services and ready == here:
            return now
        late = next(iter(sorted(here - ready)), "supervisor")
        if not supervised():
            failed = next((name for name in services if services[name]["condition"] == "failed"), late)
            raise Fault(f"{failed} did not come up: {tail(failed)}")
        if time.monotonic() > deadline:
            raise Fault(f"{late} does not answer after {PATIENCE_SECONDS:.0f} s: {tail(late)}")
        time.sleep(0.1)


def outcome(name: str, before: int = -1) -> str:
    """Wait until a service that runs once has ended, more often than `before`; how: `done`, `failed`.

    What it is doing when the supervisor ends or patience does; empty when there is no such service.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := content().get("services", {}).get(name)) is not None:
        ended = found["condition"] in ("done", "failed") and found["restarts"] > before
        if ended or time.monotonic() > deadline or not supervised():
            return str(found["condition"])
        time.sleep(0.1)
    return ""


def stop() -> None:
    """Stop the supervisor with all that it started, and what a killed one left; forget them.

    Whatever became of servers.json: its processes are known by what is in their environment.
    """
    last = content()
    if last and supervised():
        _stop_supervisor(last)
    for token in tokens(str(root())):  # none, unless the supervisor and its sentinel were killed together
        end_all(token)
    (state() / "servers.json").unlink(missing_ok=True)


def _compare(wanted: tuple[str, ...], running: dict[str, Any]) -> None:
    """Raises Fault unless the running supervisor was started with these settings and has all that is wanted."""
    if not running:
        raise Fault(f"{state() / 'servers.json'} is damaged: `sightline down` first, it finds what runs without it")
    was = running["addresses"]
    other = [
        f"{name} was {was.get(name) or 'not set'}, is {given or 'not set'} now"
        for name, given in addresses().items()
        if was.get(name, "") != given
    ]
    services = running.get("services") or wanted  # empty: it is about to start them
    other += [f"without {name}" for name in wanted if name not in services and not other]
    if other:
        raise Fault(
            f"the servers were started with other settings ({'; '.join(other)}): "
            "`sightline down` first (it ends their runs too), or set these as they were"
        )


def _spawn(wanted: tuple[str, ...]) -> None:
    code = str(Path(__file__).resolve().parents[1])
    paths = [code, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {
        **os.environ,
        TOKEN: uuid.uuid4().hex,
        "SIGHTLINE_ROOT": str(root()),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),  # the root may be a folder of data alone
    }
    # Before there is a process with this token: who is killed here leaves nothing that `stop` would not find.
    write_state(state(), {"token": environment[TOKEN], "supervisor": 0, "addresses": addresses(), "services": {}})
    with log_file(state(), "supervisor").open("ab") as log:
        process = subprocess.Popen(
            [*SUPERVISOR, *wanted],
            env=environment,
            cwd=root(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it outlives the terminal
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not content().get("services"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Fault(f"the servers' supervisor did not start: {tail('supervisor')}")
        time.sleep(0.05)
    process.returncode = 0  # not ours to wait for: Python would warn that it still runs


def _stop_supervisor(last: dict[str, Any]) -> None:
    try:
        process = psutil.Process(last["supervisor"])
        if process.environ().get(TOKEN) != last["token"]:
            return
        process.terminate()
        process.wait(timeout=40.0)
    except psutil.TimeoutExpired:
        process.kill()  # its sentinel ends the rest
    except (psutil.Error, ValueError):  # ValueError: a number that is no process's
        return


def tail(name: str) -> str:
    """Where a log is, and its end; first that the disk is full where it is, for a log may not say so."""
    log, free = log_file(state(), name), shutil.disk_usage(state()).free
    room = f"the disk of {state()} is full ({free / 1e6:.0f} MB are free), make room there first; "
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"{room if free < ROOM else ''}see {log}", *(f"  {line}" for line in lines[-12:])])
