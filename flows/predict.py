"""Answer for new pictures and videos with a model: JSON Lines, Parquet and, if asked, drawn."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.gather import gather
from tasks.inputs import Inputs, parts
from tasks.output import output_folder
from tasks.predict import begun, predict_shard, standing
from tasks.workflows import Job, model_job


@flow(flow_run_name="predict with {model}")
def predict(
    model: str,
    paths: list[str],
    threshold: float | None = None,
    output: str = "",
    draw: bool = False,
    inputs: Inputs = Inputs(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Answer for files, folders, globs or videos with a registered model, as JSON Lines, Parquet and drawn pictures."""
    return answered(model_job(model, threshold), inputs.with_(paths), output, draw)


def answered(job: Job, inputs: Inputs, output: str, draw: bool) -> dict[str, Any]:
    """A part of the inputs a task, the answers in one folder: of a model and of a workflow alike."""
    found, rejected = parts(inputs)
    run = begun(job, inputs, found, draw)
    with output_folder(job.slug, run, output) as folder:
        states = (predict_shard(job, part, inputs, folder, draw, return_state=True) for part in found)
        return gather(job, standing(states), rejected, folder)
