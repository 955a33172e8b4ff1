"""The processes of one `sightline up`: known by a token in their environment, and ended by it.

A process id says little: it is reused, and a child of a child that died belongs to nobody. A variable in
the environment is inherited by every descendant, is never reused, and no other program carries it.
"""

import os
import time
from collections.abc import Iterable

import psutil

TOKEN = "SIGHTLINE_SERVERS"  # one value for everything that one `sightline up` started
OWNER = "SIGHTLINE_OWNER"  # a process with whose end all that it started ends too: for tests, however they end
SERVICE = "SIGHTLINE_SERVICE"  # which of its services, inherited by that service's own children


def bearing(token: str, service: str = "") -> list[psutil.Process]:
    """The living processes of this user that carry the token (and belong to the service), this one excepted."""
    found = []
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _carries(process, token, service):
            found.append(process)
    return found


def tokens(root: str) -> set[str]:
    """Those of the living processes that were started for the workspace with this root, whatever is written of them."""
    carried = map(_environment, psutil.process_iter())
    return {each[TOKEN] for each in carried if each.get(TOKEN) and each.get("SIGHTLINE_ROOT") == root}


def orphans(token: str) -> list[psutil.Process]:
    """Processes with the token whose parent has gone: what a killed flow run or server leaves behind."""
    mine = bearing(token)
    known = {process.pid for process in mine} | {os.getpid()}
    return [process for process in mine if _parent(process) not in known]


def end(processes: Iterable[psutil.Process], patience: float = 5.0) -> None:
    """Ask each to stop (SIGTERM), and after `patience` seconds make it stop (SIGKILL)."""
    asked = [process for process in processes if _signal(process, "terminate")]
    _, stubborn = psutil.wait_procs(asked, timeout=patience)
    killed = [process for process in stubborn if _signal(process, "kill")]
    psutil.wait_procs(killed, timeout=patience)


def end_all(token: str, service: str = "", patience: float = 5.0) -> int:
    """End everything that carries the token, also what is started meanwhile. Returns how many there were."""
    ended, quiet = 0, 0
    while quiet < 2:  # twice nothing: a child between fork and exec shows up on the second look
        found = bearing(token, service)
        end(found, patience)
        ended += len(found)
        quiet = 0 if found else quiet + 1
        time.sleep(0.05)
    return ended


def _carries(process: psutil.Process, token: str, service: str) -> bool:
    environment = _environment(process)
    return environment.get(TOKEN) == token and service in ("", environment.get(SERVICE))


def _environment(process: psutil.Process) -> dict[str, str]:
    """Of a process of this user; empty when it is gone, a zombie, or not ours to read."""
    try:
        return process.environ() if process.uids().real == os.getuid() else {}
    except (psutil.Error, OSError):
        return {}


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid() or None
    except psutil.Error:
        return None


def _signal(process: psutil.Process, name: str) -> bool:
    try:
        getattr(process, name)()
    except psutil.Error:
        return False
    return True
