"""The runs that Prefect knows: their states and their logs, for `sightline run`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from models.runtime.faults import Fault, choices
from tasks.servers import connect

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

PAGE = 200  # the most that the API gives at once


def runs(limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs, the newest first: id, name, flow, state, started (ISO, UTC), seconds, tags.

    A flow called by another flow is a run of its own. Raises Fault when no server is up.
    """
    from prefect.client.schemas.filters import FlowFilter, FlowFilterId

    with _client() as client:
        found = _newest(client, limit)
        wanted = FlowFilter(id=FlowFilterId(any_=list({run.flow_id for run in found})))
        flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=wanted)} if found else {}
    return [_row(run, flows.get(run.flow_id, "")) for run in found]


def run_logs(run: str = "") -> list[str]:
    """What a run and the flows it called logged, the oldest line first, then the state it ended in.

    run: its id or the start of it, its name, or empty: the newest run that no other flow called. Of several runs
    with one name the newest is meant. Raises Fault with the newest runs' names when there is no such run, and
    when no server is up.
    """
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import LogSort

    lines: list[str] = []
    with _client() as client:
        found = _find(client, run)
        called = _called(client, found)
        names = _names(client, called)
        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[each.id for each in called]))
        while True:
            page = client.read_logs(wanted, limit=PAGE, offset=len(lines), sort=LogSort.TIMESTAMP_ASC)
            for log in page:
                who = names.get(log.task_run_id or log.flow_run_id or found.id, "")
                lines.append(f"{log.timestamp:%H:%M:%S} {_level(log.level):<7} {who}: {log.message}")
            if len(page) < PAGE:
                break
    message = f": {found.state.message}" if found.state and found.state.message else ""
    return [*lines, f"{found.name} is {found.state_name}{message}"]


def _called(client: SyncPrefectClient, run: FlowRun) -> list[FlowRun]:
    """The run and every flow run that it or one of those called."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    found, last = [run], [run]
    while last:
        parents = FlowRunFilterParentFlowRunId(any_=[each.id for each in last])
        last = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parents), limit=PAGE)
        found += last
    return found


def _names(client: SyncPrefectClient, called: list[FlowRun]) -> dict[UUID, str]:
    """What the runs and their tasks are called, by id."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    mine = FlowRunFilter(id=FlowRunFilterId(any_=[each.id for each in called]))
    tasks = client.read_task_runs(flow_run_filter=mine, limit=PAGE)
    return {flow.id: flow.name for flow in called} | {task.id: task.name for task in tasks}


def _client() -> SyncPrefectClient:
    connect()
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def _newest(client: SyncPrefectClient, limit: int, name: str = "", subflows: bool = True) -> list[FlowRun]:
    """Those that began or should have: the nights that are planned ahead are no news."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = filters.FlowRunFilter(
        expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
        name=filters.FlowRunFilterName(any_=[name]) if name else None,
        parent_task_run_id=None if subflows else filters.FlowRunFilterParentTaskRunId(is_null_=True),
    )
    return client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=limit)


def _find(client: SyncPrefectClient, run: str) -> FlowRun:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_flow_run(UUID(run))
    except (ValueError, ObjectNotFound):  # no id, or nobody's
        pass
    if named := _newest(client, 1, run, subflows=bool(run)):
        return named[0]
    newest = _newest(client, PAGE)
    for found in newest:
        if str(found.id).startswith(run):
            return found
    if not newest:
        raise Fault("there is no run yet: `sightline train`, `sightline demo` and others make one")
    names = dict.fromkeys(found.name for found in newest[:20])
    raise Fault(f"there is no run {run!r}. {choices(run, names, 'The newest')}")


def _row(run: FlowRun, flow: str) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "name": run.name,
        "flow": flow,
        "state": run.state_name or "",
        "started": run.start_time.isoformat(timespec="seconds") if run.start_time else "",
        "seconds": round(run.estimated_run_time.total_seconds(), 1),
        "tags": list(run.tags),
    }


def _level(number: int) -> str:
    import logging

    return logging.getLevelName(number)
