"""Runs whose process is gone: marked as crashed on our own server, for Prefect itself does not look.

A run of the pool lives as long as the worker. A command's run lives as long as the command: it holds a lock on
`.sightline/commands/<run>`, which the kernel frees however the process ends.
"""

import contextlib
import fcntl
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil

from tasks.supervisor import DIRECT, NO_ANSWER
from tasks.workspace import state

POOL = "sightline"
POOLED = {"work_pools": {"name": {"any_": [POOL]}}}
LIVE = ("RUNNING", "PENDING", "CANCELLING")  # a run that has a process, or should have
SAME_SECONDS = 2.0  # the system's clock may be set while a process lives
PAGE = 200  # the most runs that Prefect names in one answer


def crash_lost_runs(api: str) -> int:
    """Mark as crashed the pool's runs that nobody runs: what a worker leaves behind that was stopped or killed.

    Called before the worker starts, on our own server alone: then no process is behind any of them. A flow that
    was called by another is in no pool: it is found by its parent, which the worker may have marked already.
    Returns how many there were.
    """
    lost = _runs(api, POOLED)
    return _crash(api, lost, lost + _runs(api, POOLED, ("CRASHED", "CANCELLED")))


def crash_lost_commands(api: str) -> None:
    """Mark as crashed the runs of commands of this workspace that were killed. On our own server alone."""
    for path in _commands().glob("[!.]*"):
        # Held by a living command, gone meanwhile, or the server is too busy: the next command looks again.
        with contextlib.suppress(*NO_ANSWER), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _crash(api, _runs(api, {"flow_runs": {"id": {"any_": [path.name]}}}), [path.name])
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def watched(flow: Any) -> Iterator[Any]:
    """The flow, such that the run of it is known to live as long as this process does."""
    held: list[tuple[Path, IO[str]]] = []

    def remember_process(_flow: Any, run: Any, _state: Any) -> None:
        held.append(hold(str(run.id)))

    try:
        yield flow.with_options(on_running=[remember_process])
    finally:
        for path, file in held:  # the run has ended: what is looked at from here on finds it so
            path.unlink(missing_ok=True)
            file.close()


def hold(run: str) -> tuple[Path, IO[str]]:
    """Lock a run's file before it bears its name: who looks never finds it free while this process lives.

    It says which process that is, and when that began: a process id alone is reused.
    """
    _commands().mkdir(parents=True, exist_ok=True)
    path, beside = _commands() / run, _commands() / f".{os.getpid()}.new"
    file = beside.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    json.dump({"pid": os.getpid(), "began": psutil.Process().create_time()}, file)
    file.flush()
    beside.replace(path)
    return path, file


def holder(run: str) -> psutil.Process | None:
    """The living process of this workspace that a command's run is in: it holds the lock, and began when it says."""
    try:
        with (_commands() / run).open() as file:
            said = json.load(file)
            process = psutil.Process(said["pid"])
            began = abs(process.create_time() - said["began"]) < SAME_SECONDS
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return process if began else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        pass
    return None  # nobody holds it


def _commands() -> Path:
    return state() / "commands"


def _crash(api: str, lost: list[str], parents: list[str]) -> int:
    """Mark these runs as crashed, and those that live and were called by one of the parents."""
    while parents:
        parents = [run for run in _runs(api, _called_by(parents)) if run not in lost]
        lost = lost + parents
    message = "Its process was stopped or killed. Run it again: what was done is kept."
    crashed = {"type": "CRASHED", "name": "Crashed", "message": message}
    for run in lost:
        _post(f"{api}/flow_runs/{run}/set_state", {"state": crashed, "force": True})
    return len(lost)


def _called_by(parents: list[str]) -> dict[str, Any]:
    return {"flow_runs": {"parent_flow_run_id": {"any_": parents}}}


def _runs(api: str, which: dict[str, Any], states: tuple[str, ...] = LIVE) -> list[str]:
    """The ids of the runs in these states, page by page."""
    wanted = {**which, "flow_runs": {**which.get("flow_runs", {}), "state": {"type": {"any_": states}}}}
    found: list[str] = []
    while True:
        page = _post(f"{api}/flow_runs/filter", {**wanted, "limit": PAGE, "offset": len(found)})
        found += [run["id"] for run in page]
        if len(page) < PAGE:
            return found


def _post(url: str, content: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)
    with DIRECT.open(request, timeout=30.0) as response:
        return json.loads(response.read())
