"""Ending a run before it is done: by the worker, or in the command whose run it is."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import psutil

from models.runtime.faults import Fault
from tasks.lost import holder
from tasks.runs import WORDS, api, called, find

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

# First as a person would, which lets a training end in order; then what a command in the background hears, too.
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 20.0  # seconds that each of them is given, and the worker
GOES_ON = ("train-", "sweep", "folds", "pipeline", "demo")  # flows that take up what was begun


def cancel(run: str) -> dict[str, Any]:
    """End a run: id, name, status (`cancelled`, `cancelling`, or what it had ended as), and said, a sentence.

    run: as for `tasks.runs.run_logs`. A run that another flow called ends with the one that called it.
    Raises Fault for a run whose process is not to be found here, and for a process that does not end.
    """
    with api() as client:
        found = _outermost(client, find(client, run, going=True))
        if found.state is None or found.state.is_final():
            word = WORDS[found.state_type.value] if found.state_type else "no run"
            return _told(found, word, f"{found.name} has ended already: it is {word}. Nothing was cancelled.")
        flow = client.read_flow(found.flow_id).name
        again = " Started again, it goes on where it stopped." if flow.startswith(GOES_ON) else ""
        process = holder(str(found.id))
        if process is not None:
            _end(process, found.name)
            _mark(client, found)
            return _told(found, "cancelled", f"{found.name} is cancelled.{again}")
        if found.deployment_id is None:
            raise Fault(
                f"{found.name}: no process of this workspace runs it, so none can be ended. It runs on another "
                "machine, or was started by other code: end it there."
            )
        word = _ask_worker(client, found)
        still = "" if word == "cancelled" else " The worker ends it; where none is up, it waits for one."
        return _told(found, word, f"{found.name} is {word}.{still}{again}")


def _told(run: FlowRun, word: str, sentence: str) -> dict[str, Any]:
    return {"id": str(run.id), "name": run.name, "status": word, "said": sentence}


def _outermost(client: SyncPrefectClient, run: FlowRun) -> FlowRun:
    """The run that no other called, and in whose process this one is."""
    while run.parent_task_run_id is not None:
        parent = client.read_task_run(run.parent_task_run_id).flow_run_id
        if parent is None:
            break
        run = client.read_flow_run(parent)
    return run


def _end(process: psutil.Process, name: str) -> None:
    """Raises Fault when it still lives after all that is asked politely."""
    for number in SIGNALS:
        try:
            process.send_signal(number)
            process.wait(PATIENCE)
            return
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
    raise Fault(
        f"{name}: its process {process.pid} does not end. `kill -9 {process.pid}` ends it; what was done is kept."
    )


def _mark(client: SyncPrefectClient, run: FlowRun) -> None:
    """The run and those it called as cancelled: its process, which is gone, could only say that it was interrupted."""
    from prefect.states import Cancelled

    for each in called(client, run):
        if each.state is None or not each.state.is_final() or each.state.is_crashed():
            client.set_flow_run_state(each.id, Cancelled(message="Cancelled by hand."), force=True)


def _ask_worker(client: SyncPrefectClient, run: FlowRun) -> str:
    """Ask for the end of a deployment's run, and wait a while for it. Returns how it stands then."""
    from prefect.states import Cancelling

    client.set_flow_run_state(run.id, Cancelling(message="Cancelled by hand."))
    until = time.monotonic() + PATIENCE
    while True:
        now = client.read_flow_run(run.id)
        if now.state is not None and now.state.is_crashed():  # the worker ended its process, and will say so later
            _mark(client, run)
            return "cancelled"
        if now.state is None or now.state.is_final() or time.monotonic() > until:
            return WORDS[now.state_type.value] if now.state_type else "cancelling"
        time.sleep(0.5)
