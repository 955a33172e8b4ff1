"""Keeps programs running: starts them in order, starts one again that dies, and ends all of them with itself.

A sentinel beside it sweeps up if this process is killed. Standard library and psutil only: it stays for
days, so it stays small.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tasks.processes import SERVICE, end, end_all, orphans

RESTARTS = 5  # of one service in a row, each after a longer pause; then something is wrong that a restart cannot mend
STEADY_SECONDS = 300.0  # who lived so long starts counting anew
SWEEP_SECONDS = 5.0  # between looks for orphans; a look costs 10 ms here

NO_ANSWER = (OSError, http.client.HTTPException, ValueError)  # refused, an error status, half an answer, no JSON


@dataclass(frozen=True)
class Service:
    """One program to keep running.

    health: an address that answers 200 once it is ready; empty: ready when started.
    after: the service that must be ready (or done) first.  once: runs to its end and is not started again.
    before: called just before each start.  listening: a socket it inherits as file descriptor.
    """

    name: str
    command: tuple[str, ...]
    url: str = ""
    health: str = ""
    after: str = ""
    once: bool = False
    before: Callable[[], object] = lambda: None
    listening: socket.socket | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """How a service is doing. condition: waiting, starting, ready, done, failed."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    condition: str = "waiting"
    since: float = 0.0
    restarts: int = 0
    due: float = 0.0


class Supervisor:
    """Keeps services running until told to stop, or until one cannot be kept.

    token: in the environment of this process, so of all that it starts.  folder: gets servers.json, always
    whole, and logs/<service>.log.  owner: a process with whose end everything ends; 0: none.
    addresses: the settings that the services were started with, for servers.json.
    """

    def __init__(
        self, token: str, services: list[Service], folder: Path, owner: int = 0, addresses: dict[str, str] | None = None
    ) -> None:
        self.token = token
        self.addresses = addresses or {}
        self.folder = folder
        self.running = {service.name: Running(service) for service in services}
        self.owner = psutil.Process(owner) if owner else None
        self.fault = ""
        self.stopping = False
        self.again = False  # start the services that run once, once more
        self.swept = time.monotonic()
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.written: dict[str, Any] = {}

    def run(self) -> None:
        """Until stopped by SIGTERM, by a service that keeps dying, or by the sentinel's or owner's end."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_signal)
        read_end, write_end = os.pipe()  # the write end is ours alone: Python passes on no descriptor by itself
        sentinel = subprocess.Popen([sys.executable, "-m", "tasks.sentinel"], stdin=read_end, start_new_session=True)
        os.close(read_end)
        try:
            while not (self.stopping or self.fault):
                self._step(sentinel)
                time.sleep(0.1)
        finally:
            self._stop()
            os.close(write_end)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            self.again = True
        else:
            self.stopping = True

    def _step(self, sentinel: subprocess.Popen[bytes]) -> None:
        if sentinel.poll() is not None or (self.owner and not self.owner.is_running()):
            self.stopping = True
            return
        for running in self.running.values():
            self._look_at(running)
        if self.again:
            self.again = False
            for running in self.running.values():
                if running.service.once and running.condition in ("done", "failed"):
                    running.condition = "waiting"
                    running.restarts += 1  # who asked sees that what is done is done anew
        if time.monotonic() - self.swept > SWEEP_SECONDS:
            end(orphans(self.token), patience=2.0)
            self.swept = time.monotonic()
        self._write()

    def _look_at(self, running: Running) -> None:
        if running.process is None:
            if self._may_start(running):
                self._start(running)
            return
        code = running.process.poll()
        if code is not None:
            self._ended(running, code)
        elif running.condition == "starting" and not running.service.once and answers(running.service.health):
            running.condition = "ready"

    def _may_start(self, running: Running) -> bool:
        if running.condition != "waiting" or time.monotonic() < running.due:
            return False
        before = self.running.get(running.service.after)
        return before is None or before.condition in ("ready", "done", "failed")

    def _start(self, running: Running) -> None:
        service = running.service
        try:
            service.before()
        except NO_ANSWER as error:  # the start matters more
            sys.stderr.write(f"before {service.name}: {error}\n")
        descriptors = (service.listening.fileno(),) if service.listening else ()
        with log_file(self.folder, service.name).open("ab") as log:
            running.process = subprocess.Popen(
                service.command,
                env={**os.environ, **service.environment, SERVICE: service.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                start_new_session=True,  # a signal to one service's group reaches no other
            )
        running.since = time.monotonic()
        running.condition = "starting" if service.health or service.once else "ready"

    def _ended(self, running: Running, code: int) -> None:
        service, was = running.service, running.condition
        running.process = None
        end_all(self.token, service.name, patience=2.0)
        if service.once:
            running.condition = "done" if code == 0 else "failed"
            return
        lived = time.monotonic() - running.since
        running.restarts = 1 if lived > STEADY_SECONDS else running.restarts + 1
        how = f"signal {-code}" if code < 0 else f"status {code}"
        if (was == "starting" and running.restarts == 1) or running.restarts > RESTARTS:
            running.condition = "failed"
            self.fault = f"{service.name} ended with {how}"
            return
        running.condition = "waiting"
        running.due = time.monotonic() + 0.25 * 2**running.restarts

    def _stop(self) -> None:
        for running in reversed(self.running.values()):  # the worker first: its runs still reach their server
            if running.process is not None:
                with contextlib.suppress(psutil.Error):
                    end([psutil.Process(running.process.pid)])
                running.process = None
        end_all(self.token)
        self._write()

    def _write(self) -> None:
        services = {
            name: {
                "pid": running.process.pid if running.process else 0,
                "url": running.service.url,
                "condition": running.condition,
                "restarts": running.restarts,
            }
            for name, running in self.running.items()
        }
        now: dict[str, Any] = {"token": self.token, "supervisor": os.getpid(), "addresses": self.addresses}
        now |= {"started": self.started, "fault": self.fault, "services": services}
        if now != self.written:
            write_state(self.folder, now)
            self.written = now


def log_file(folder: Path, name: str) -> Path:
    """Where a service's words go."""
    return folder / "logs" / f"{name}.log"


def write_state(folder: Path, content: dict[str, Any]) -> None:
    """Replace servers.json in one step. No fsync: after a power cut no server in it is alive."""
    beside = folder / "servers.json.new"
    beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    beside.replace(folder / "servers.json")


def answers(url: str) -> bool:
    """Whether a server on this machine answers 200 at this address within a second; an empty one always does."""
    if not url:
        return True
    try:
        with DIRECT.open(url, timeout=1.0) as response:
            return bool(response.status == 200)
    except NO_ANSWER:
        return False


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy to 127.0.0.1
