"""What `sightline up` runs in the background: which programs, on which ports, in which order.

`python -m tasks.background` is the supervisor's process, one a workspace: a file lock, which the kernel
frees however the process ends, says whether there is one.
"""

import argparse
import contextlib
import fcntl
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator

from tasks.addresses import addresses
from tasks.lost import POOL, crash_lost_commands, crash_lost_runs
from tasks.processes import OWNER, TOKEN
from tasks.supervisor import Service, Supervisor, log_file
from tasks.workspace import state

PORTS = {"prefect": 4200, "mlflow": 5000}  # the usual ones; the next free one when they are taken
LOG_BYTES = 5_000_000
# A night holds its place among "one at a time" by a lease. Prefect keeps leases in the server's memory unless told
# otherwise: then a server that starts again knows none, and within four minutes the run ends itself.
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}


def main() -> None:
    """Run the services until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("services", nargs="+")
    given = parser.parse_args()
    settings, owner = addresses(), int(os.environ.get(OWNER, "0"))
    with alone() as first:
        if first:
            Supervisor(os.environ[TOKEN], services(given.services), state(), owner, settings).run()


@contextlib.contextmanager
def alone(patience: float = 1.0) -> Iterator[bool]:
    """Whether this process is the workspace's only supervisor, for as long as the block lasts.

    It tries for a second: who only looks whether there is one holds the lock for an instant too.
    """
    with (state() / "servers.lock").open("w") as file:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(0.05)
            else:
                yield True
                return


def services(wanted: list[str]) -> list[Service]:
    """The programs, in their order. Where PREFECT_API_URL names a server of the user's, none is started for it."""
    found = []
    api = os.environ.get("PREFECT_API_URL", "")
    if "prefect" in wanted:
        server = _server("prefect", "/api/health")
        api = f"{server.url}/api"
        os.environ["PREFECT_API_URL"] = api  # of all that is started from here
        found.append(server)
    if "mlflow" in wanted:
        found.append(_server("mlflow", "/health"))
    if "worker" in wanted:
        after = "prefect" if "prefect" in wanted else ""
        python = sys.executable
        found.append(Service("deployments", (python, "-m", "tasks.deployments"), after=after, once=True))
        lost = (lambda: _crash_lost(api)) if after else (lambda: None)
        # Prefect asks for work every 10 s; 3 s costs nothing measurable and Run in the UI feels like it.
        often = {"PREFECT_WORKER_QUERY_SECONDS": os.environ.get("PREFECT_WORKER_QUERY_SECONDS", "3")}
        found.append(Service("worker", _worker(), after="deployments", before=lost, environment=often))
    return found


def _crash_lost(api: str) -> None:
    crash_lost_runs(api)
    crash_lost_commands(api)


def _server(name: str, health: str) -> Service:
    listening = listen(PORTS[name])
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    command = (sys.executable, "-m", "tasks.serve", name, str(listening.fileno()))
    return Service(name, command, url=url, health=url + health, listening=listening, environment=LEASES)


def _worker() -> tuple[str, ...]:
    # A training uses two cores and more, so one run at a time for every two cores.
    limit = max(1, (os.cpu_count() or 2) // 2)
    name = f"{POOL} on {platform.node()}"  # the same after a restart: one row in the UI, not one for each start
    options = ("--pool", POOL, "--type", "process", "--name", name, "--limit", str(limit))
    return (sys.executable, "-m", "prefect", "worker", "start", *options, "--install-policy", "never")


def listen(usual: int) -> socket.socket:
    """A listening socket on 127.0.0.1: the usual port, else one of the 20 after it, else any free one."""
    for port in [*range(usual, usual + 20), 0]:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen(128)
        except OSError:
            listening.close()
            continue
        return listening
    raise OSError("no free port on 127.0.0.1")


def turn_logs() -> None:
    """A log that has grown large becomes NAME.log.1, in the place of the one before."""
    (state() / "logs").mkdir(parents=True, exist_ok=True)
    for name in ("supervisor", "prefect", "mlflow", "deployments", "worker"):
        log = log_file(state(), name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))


if __name__ == "__main__":
    main()
