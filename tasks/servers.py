"""The local servers: started in the background, found, stopped. 127.0.0.1 only, no state outside `.sightline/`."""

import os
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.runtime.faults import Fault
from tasks.deployments import changed
from tasks.launch import Say, content, launch, stop, supervised, wait_for
from tasks.supervisor import answers
from tasks.tracking_store import prepare_store
from tasks.workspace import settle, state

__all__ = ["Servers", "connect", "down", "ensure", "prepare_store", "status", "up"]

EVERYTHING = ("prefect", "mlflow", "worker")
OURS = "SIGHTLINE_PREFECT_API"  # the address we put into PREFECT_API_URL: any other there is the user's own


@dataclass(frozen=True)
class Servers:
    """Where the servers are and how they do.

    pids: by name, 0 where one is not running now.  started: whether this call started them.
    deployments: `ready`, `under way`, `failed`, or `none` where there is no worker.  logs: the folder.
    """

    prefect_ui: str
    prefect_api: str
    mlflow_ui: str
    supervisor: int
    pids: dict[str, int] = field(default_factory=dict)
    started: bool = False
    deployments: str = "none"
    logs: Path = Path()


def to_stderr(sentence: str) -> None:
    """Progress, for people."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def up(say: Say = to_stderr) -> Servers:
    """Start the servers in the background, the worker too, and deploy what prefect.yaml names.

    Returns when both servers answer; worker and deployments follow. Running servers are left as they are, and
    what changed in prefect.yaml, flows/ or apps/ is deployed again. Raises Fault with the log of who fails.
    """
    settle()
    started = launch(_wanted(), 0, say)
    wait_for(("prefect", "mlflow"), say if started else _quietly)
    now = _read(started)
    if not started and now.deployments in ("ready", "failed") and changed(now.prefect_api):
        say("prefect.yaml, a flow or an app changed: deploying again in the background")
        os.kill(now.supervisor, signal.SIGHUP)
        return replace(now, deployments="under way")
    if started and "worker" in now.pids:
        say("the worker and the deployments follow in a few seconds")
    return now


def ensure(say: Say = to_stderr, wanted: tuple[str, ...] = (), owner: int = 0) -> str:
    """The address of a Prefect API that answers, put into this process's settings; servers are started if needed.

    A PREFECT_API_URL that the user has set is used as it is, and nothing is started. Servers started here are
    those of `up` (or `wanted` alone), and end with the process `owner` if one is given.
    """
    settle()
    given = os.environ.get("PREFECT_API_URL", "")
    if given and (given != os.environ.get(OURS) or answers(f"{given}/health")):
        return given
    os.environ.pop("PREFECT_API_URL", None)
    started = launch(wanted or _wanted(), owner, say)
    wait_for(("prefect",), say if started else _quietly)
    return _use(_read().prefect_api)


def connect() -> str:
    """The address of the Prefect API, put into this process's settings; for commands that only look.

    Raises Fault when no server is up: nothing is started.
    """
    settle()
    given = os.environ.get("PREFECT_API_URL", "")
    if given and given != os.environ.get(OURS):
        return given
    found = status()
    if found is None or not found.prefect_api:
        raise Fault("no Prefect server is up: `sightline up` starts it, or PREFECT_API_URL names another")
    return _use(found.prefect_api)


def status() -> Servers | None:
    """The servers of this workspace as they are now, or nothing when they are not up."""
    settle()
    return _read() if supervised() else None


def down(say: Say = to_stderr) -> tuple[str, ...]:
    """Stop what `up` started, and nothing else. Returns the names of what was running."""
    found = status()
    running = tuple(name for name, pid in found.pids.items() if pid) if found else ()
    if running:
        say(f"stopping {', '.join(running)}")
    stop()
    return running


def _wanted() -> tuple[str, ...]:
    """What is not the user's own already."""
    given = os.environ.get("PREFECT_API_URL", "")
    theirs = {"prefect"} if given and given != os.environ.get(OURS) else set()
    if os.environ["MLFLOW_TRACKING_URI"].startswith("http"):
        theirs.add("mlflow")
    return tuple(name for name in EVERYTHING if name not in theirs)


def _quietly(_sentence: str) -> None:
    """Say nothing."""


def _use(api: str) -> str:
    """Prefect reads its settings once, when it is imported; if it is already, it is told again."""
    os.environ[OURS] = os.environ["PREFECT_API_URL"] = api
    if "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    return api


def _read(started: bool = False) -> Servers:
    said = content()
    services = said.get("services", {})
    url = {name: service["url"] for name, service in services.items()}
    api = f"{url['prefect']}/api" if "prefect" in url else os.environ.get("PREFECT_API_URL", "")
    told = {"done": "ready", "failed": "failed"}
    deployments = services.get("deployments")
    return Servers(
        prefect_ui=api.removesuffix("/api"),
        prefect_api=api,
        mlflow_ui=url.get("mlflow", os.environ["MLFLOW_TRACKING_URI"]),
        supervisor=said.get("supervisor", 0),
        pids={name: service["pid"] for name, service in services.items() if name != "deployments"},
        started=started,
        deployments=told.get(deployments["condition"], "under way") if deployments else "none",
        logs=state() / "logs",
    )
