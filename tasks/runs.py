"""The runs that Prefect knows: how they stand and what they logged, for `sightline run`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from models.runtime.faults import Fault, choices, short
from tasks.progress import progress, under_way
from tasks.servers import connect

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

PAGE = 200  # the most that the API gives at once
# Prefect's types of states in words that say what a person waits for.
WORDS = {
    "SCHEDULED": "queued",
    "PENDING": "queued",
    "RUNNING": "running",
    "COMPLETED": "done",
    "FAILED": "failed",
    "CRASHED": "crashed",
    "CANCELLING": "cancelling",
    "CANCELLED": "cancelled",
    "PAUSED": "paused",
}
# What Prefect puts before the error that ended a run, and the error's kind.
PREFIX = re.compile(
    r"^(Flow run encountered an exception:|Validation of flow parameters failed with error:)? *(\w+: )?"
)


def runs(limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs, the newest first: id, name, flow, state, started (ISO, UTC), seconds, tags, and how it stands.

    status: queued, running, training, trained, done, failed, crashed, cancelling, cancelled or paused.  reason: of a
    failed one, in a line.  progress: of a training under way (`tasks/progress.py`), else None.
    A flow called by another flow is a run of its own. Raises Fault when no server is up.
    """
    from prefect.client.schemas.filters import FlowFilter, FlowFilterId

    with api() as client:
        found = _newest(client, limit)
        wanted = FlowFilter(id=FlowFilterId(any_=list({run.flow_id for run in found})))
        flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=wanted)} if found else {}
    working = under_way()
    return [_row(run, flows.get(run.flow_id, ""), working) for run in found]


def describe(run: str = "") -> dict[str, Any]:
    """One run in full: its row, what it was given, its steps with their states, and where its training lies.

    run: as for `run_logs`.
    """
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with api() as client:
        found = find(client, run)
        every = called(client, found)
        mine = FlowRunFilter(id=FlowRunFilterId(any_=[each.id for each in every]))
        steps = client.read_task_runs(flow_run_filter=mine, limit=PAGE)
        flow = client.read_flow(found.flow_id).name
    working = under_way()
    folder = next((working[str(each.id)] for each in every if str(each.id) in working), None)
    told = [
        {"step": step.name, "state": step.state_name or "", "seconds": round(step.total_run_time.total_seconds(), 1)}
        for step in sorted(steps, key=lambda step: (step.start_time or datetime.max.replace(tzinfo=UTC), step.name))
        if step.id != found.parent_task_run_id
    ]
    given = {name: value for name, value in (found.parameters or {}).items() if value not in ("", None)}
    row = _row(found, flow, working | ({str(found.id): folder} if folder else {}))
    return row | {"parameters": given, "steps": told, "training": str(folder or "")}


def run_logs(run: str = "") -> list[str]:
    """What a run and the flows it called logged, the oldest line first, then the state it ended in.

    run: its id or the start of it, its name, or empty: the newest run that no other flow called. Of several runs
    with one name the newest is meant. Raises Fault with the newest runs' names when there is no such run, and
    when no server is up.
    """
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import LogSort

    lines: list[str] = []
    with api() as client:
        found = find(client, run)
        every = called(client, found)
        names = _names(client, every)
        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[each.id for each in every]))
        while True:
            page = client.read_logs(wanted, limit=PAGE, offset=len(lines), sort=LogSort.TIMESTAMP_ASC)
            for log in page:
                who = names.get(log.task_run_id or log.flow_run_id or found.id, "")
                lines.append(f"{log.timestamp:%H:%M:%S} {_level(log.level):<7} {who}: {log.message}")
            if len(page) < PAGE:
                break
    message = f": {found.state.message}" if found.state and found.state.message else ""
    return [*lines, f"{found.name} is {found.state_name}{message}"]


def called(client: SyncPrefectClient, run: FlowRun) -> list[FlowRun]:
    """The run and every flow run that it or one of those called."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    found, last = [run], [run]
    while last:
        parents = FlowRunFilterParentFlowRunId(any_=[each.id for each in last])
        last = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parents), limit=PAGE)
        found += last
    return found


def _names(client: SyncPrefectClient, every: list[FlowRun]) -> dict[UUID, str]:
    """What the runs and their tasks are called, by id."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    mine = FlowRunFilter(id=FlowRunFilterId(any_=[each.id for each in every]))
    tasks = client.read_task_runs(flow_run_filter=mine, limit=PAGE)
    return {flow.id: flow.name for flow in every} | {task.id: task.name for task in tasks}


def api() -> SyncPrefectClient:
    """Prefect's client for the server in use. Raises Fault when none is up."""
    connect()
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def _newest(
    client: SyncPrefectClient, limit: int, name: str = "", subflows: bool = True, going: bool = False
) -> list[FlowRun]:
    """Those that began or should have (the nights planned ahead are no news); going: and have not ended."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import TERMINAL_STATES, StateType
    from prefect.client.schemas.sorting import FlowRunSort

    alive = [state for state in StateType if state not in TERMINAL_STATES]
    wanted = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=alive)) if going else None,
        expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
        name=filters.FlowRunFilterName(any_=[name]) if name else None,
        parent_task_run_id=None if subflows else filters.FlowRunFilterParentTaskRunId(is_null_=True),
    )
    return client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=limit)


def find(client: SyncPrefectClient, run: str, going: bool = False) -> FlowRun:
    """The run of that id, start of an id, or name; see `run_logs`. Raises Fault with the newest runs' names.

    going: of several runs with one name, one that has not ended comes before those that have.
    """
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_flow_run(UUID(run))
    except (ValueError, ObjectNotFound):  # no id, or nobody's
        pass
    for first in [True, False] if going else [False]:
        if named := _newest(client, 1, run, subflows=bool(run), going=first):
            return named[0]
    newest = _newest(client, PAGE)
    for found in newest:
        if str(found.id).startswith(run):
            return found
    if not newest:
        raise Fault("there is no run yet: `sightline train`, `sightline demo` and others make one")
    names = dict.fromkeys(found.name for found in newest[:20])
    raise Fault(f"there is no run {run!r}. {choices(run, names, 'The newest')}")


def reason(message: str) -> str:
    """Why a run failed, in a line: the first of its error, without what Prefect writes before it."""
    lines = [line.strip() for line in PREFIX.sub("", message.strip(), count=1).splitlines() if line.strip()]
    told = " ".join(lines) if lines and lines[0].endswith(":") else (lines or [""])[0]
    return short(told, 400)


def _row(run: FlowRun, flow: str, working: Mapping[str, Path]) -> dict[str, Any]:
    word = WORDS[run.state_type.value] if run.state_type else "queued"
    folder = working.get(str(run.id)) if word == "running" else None
    known = progress(folder) if folder else None
    if flow.startswith("train-") or folder:
        word = {"running": "training", "done": "trained"}.get(word, word)
    message = (run.state.message or "") if run.state else ""
    return {
        "id": str(run.id),
        "name": run.name,
        "flow": flow,
        "state": run.state_name or "",
        "status": word,
        "reason": reason(message) if word in ("failed", "crashed", "cancelled") else "",
        "progress": known.row() | {"text": known.text()} if known else None,
        "started": run.start_time.isoformat(timespec="seconds") if run.start_time else "",
        "seconds": round(run.estimated_run_time.total_seconds(), 1),
        "tags": list(run.tags),
    }


def _level(number: int) -> str:
    import logging

    return logging.getLevelName(number)
