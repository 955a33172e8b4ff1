"""The local servers: started in the background, found, stopped. 127.0.0.1 only, no state outside `.sightline/`."""

import os
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.runtime.faults import Fault
from tasks.addresses import ADDRESSES, addresses, place, reach, shown, silent
from tasks.deployments import changed
from tasks.launch import Say, content, launch, launching, outcome, stop, supervised, tail, wait_for
from tasks.lost import crash_lost_commands
from tasks.nights import follow_apps
from tasks.supervisor import answers
from tasks.tracking_store import prepare_store
from tasks.workspace import own_store, settle, state

__all__ = ["Servers", "connect", "down", "ensure", "status", "up"]

EVERYTHING = ("prefect", "mlflow", "worker")
OURS = "SIGHTLINE_PREFECT_API"  # the address we put into PREFECT_API_URL: any other there is the user's own


@dataclass(frozen=True)
class Servers:
    """Where the servers are and how they do; an address of the user's own without the password in it.

    pids: by name, 0 where one is not running now.  started: whether this call started them.
    deployments: `ready`, `under way`, `failed`, or `none` where there is no worker.  logs: the folder.
    notes: what `up` did to prefect.yaml, which apps it left as they are and why, why deploying failed.
    """

    prefect_ui: str
    prefect_api: str
    mlflow_ui: str
    supervisor: int
    pids: dict[str, int] = field(default_factory=dict)
    started: bool = False
    deployments: str = "none"
    logs: Path = Path()
    notes: tuple[str, ...] = ()


def to_stderr(sentence: str) -> None:
    """Progress, for people."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def up(say: Say = to_stderr) -> Servers:
    """Start the servers in the background, the worker too, and deploy what prefect.yaml names.

    Returns when both servers answer and all is deployed, or that failed. Running servers are left as they are, and
    what changed in prefect.yaml, flows/ or apps/ is deployed again. Raises Fault with the log of who fails, and
    when what runs was started with other settings.
    """
    settle()
    _forget_ours(say)
    _look_at_store()
    if theirs := os.environ.get("PREFECT_API_URL"):
        reach(theirs)
    notes = follow_apps()
    started = launch(_wanted(), say)
    wait_for(("prefect", "mlflow"), say if started else _quietly)
    _deploy(started, say)
    now = _read(started)
    if now.deployments == "failed":
        notes += (f"what prefect.yaml names could not be deployed, `sightline up` tries again: {tail('deployments')}",)
    for note in notes:
        say(note)
    return replace(now, notes=notes)


def ensure(say: Say = to_stderr, wanted: tuple[str, ...] = (), store: bool = True) -> str:
    """The address of a Prefect API that answers, put into this process's settings; servers are started if needed.

    A PREFECT_API_URL that the user has set is used as it is, and nothing is started. Servers started here are
    those of `up` (or `wanted` alone). store: whether MLflow's will be needed. Raises Fault when what runs was
    started with other settings, and when the user's own server or store does not answer.
    """
    given = _given(say)
    wanted = wanted or _wanted()
    if store or (not given and "mlflow" in wanted):
        _look_at_store()
    if given:
        return given
    started = launch(wanted, say)
    wait_for(("prefect",), say if started else _quietly)
    return _use(_read().prefect_api)


def connect() -> str:
    """The address of the Prefect API, put into this process's settings; for commands that only look.

    Raises Fault when no server of ours is up and PREFECT_API_URL names none: nothing is started.
    """
    if given := _given(to_stderr):
        return given
    found = status()
    if found is None or "prefect" not in found.pids:
        other = f" (the worker was started with {found.prefect_api})" if found and found.prefect_api else ""
        raise Fault(f"no Prefect server is up: `sightline up` starts it, or PREFECT_API_URL names another{other}")
    return _use(found.prefect_api)


def status() -> Servers | None:
    """The servers of this workspace as they are now, or nothing when they are not up."""
    settle()
    return _read() if supervised() else None


def down(say: Say = to_stderr) -> tuple[str, ...]:
    """Stop what `up` started, and nothing else. Returns the names of what was running."""
    found = status()
    running = tuple(name for name, pid in found.pids.items() if pid) or ("supervisor",) if found else ()
    if running:
        say(f"stopping {', '.join(running)}")
    with launching():
        stop()
    return running


def _deploy(started: bool, say: Say) -> None:
    """Wait until what prefect.yaml names is deployed, or that failed. Servers that ran already are told."""
    if started:
        say("deploying what prefect.yaml names")
    ended = outcome("deployments") in ("done", "failed")
    if ended and not started and supervised() and changed(_read().prefect_api):
        say("prefect.yaml, a flow or an app changed, or could not be deployed: deploying again")
        running = content()
        os.kill(running["supervisor"], signal.SIGHUP)
        outcome("deployments", running["services"]["deployments"]["restarts"])


def _wanted() -> tuple[str, ...]:
    """What is not the user's own already."""
    theirs = {"prefect"} if os.environ.get("PREFECT_API_URL") else set()
    if os.environ["MLFLOW_TRACKING_URI"].startswith("http"):
        theirs.add("mlflow")
    return tuple(name for name in EVERYTHING if name not in theirs)


def _given(say: Say) -> str:
    """The address that `ensure` has put into the settings, as long as it answers, else the user's own; or nothing.

    Raises Fault when the user's own does not answer.
    """
    settle()
    given = os.environ.get("PREFECT_API_URL", "")
    if given and given == os.environ.get(OURS) and answers(f"{given}/health"):
        return given
    _forget_ours(say)
    return reach(os.environ.get("PREFECT_API_URL", ""))


def _look_at_store() -> None:
    """Raises Fault when a store of the user's own does not answer. Our own is made by its server."""
    if os.environ["MLFLOW_TRACKING_URI"] != own_store():
        prepare_store()


def _forget_ours(say: Say) -> None:
    """Addresses that `up` printed and somebody exported are no servers of the user's own: as if they were not set.

    After `down` nothing tells whose they were: any on this machine where nobody listens is as if it were not set.
    """
    running = content().get("services", {}) if supervised() else {}  # what a killed one wrote is no longer so
    ours = {place(service["url"]) for service in running.values() if service["url"]}
    for name in ADDRESSES:
        given = os.environ.get(name, "")
        if given == os.environ.get(OURS) or place(given) in ours:
            os.environ.pop(name, None)
        elif silent(given):
            say(f"nothing answers at {shown(given)}: {name} counts as not set")
            del os.environ[name]
    settle()


def _quietly(_sentence: str) -> None:
    """Say nothing."""


def uses_ours() -> bool:
    """Whether the Prefect API in this process's settings is that of a server of this workspace."""
    return os.environ.get(OURS, "") == os.environ.get("PREFECT_API_URL", "") != ""


def _use(api: str) -> str:
    """Use a server of ours. Prefect reads its settings once, when it is imported; if it is, it is told again."""
    os.environ[OURS] = os.environ["PREFECT_API_URL"] = api
    if "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    crash_lost_commands(api)
    return api


def _read(started: bool = False) -> Servers:
    said = content()
    services = said.get("services", {})
    url = {name: service["url"] for name, service in services.items()}
    given = {**addresses(), **said.get("addresses", {})}  # where they run, it counts what they were started with
    api = f"{url['prefect']}/api" if "prefect" in url else given["PREFECT_API_URL"]
    told = {"done": "ready", "failed": "failed"}
    deployments = services.get("deployments")
    return Servers(
        prefect_ui=api.removesuffix("/api"),
        prefect_api=api,
        mlflow_ui=url.get("mlflow", given["MLFLOW_TRACKING_URI"]),
        supervisor=said.get("supervisor", 0),
        pids={name: service["pid"] for name, service in services.items() if name != "deployments"},
        started=started,
        deployments=told.get(deployments["condition"], "under way") if deployments else "none",
        logs=state() / "logs",
    )
