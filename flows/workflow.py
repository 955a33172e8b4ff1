"""Answer for pictures and videos with a workflow: models and operators in a checked graph."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.predict import answered
from tasks.inputs import Inputs
from tasks.workflows import job_of


@flow(flow_run_name="workflow {workflow}")
def workflow(
    workflow: str,
    paths: list[str],
    output: str = "",
    draw: bool = False,
    models: str = "",
    inputs: Inputs = Inputs(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Run a workflow (a file, a name under workflows/ or a registered one) on pictures and videos."""
    return answered(job_of(workflow, models=models), inputs.with_(paths), output, draw)
