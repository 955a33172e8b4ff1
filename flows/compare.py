"""Measure several models on the same images and set their numbers side by side."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from tasks.evaluate import evaluate
from tasks.plan import pin
from tasks.registry import resolve
from tasks.report import side_by_side


def named() -> str:
    """What a run is called: by the dataset where one is given."""
    given = flow_run.parameters  # of a deployment's run, those alone that it was given
    where = given.get("dataset") or "the data of the first"
    return f"compare {', '.join(given['models'])} on {where} {given.get('split', 'test')}"


@flow(flow_run_name=named)
def compare(models: list[str], dataset: str = "", split: str = "test") -> list[dict[str, Any]]:
    """Measure several models on the same images and set their numbers side by side.

    dataset: empty means the one the first model was trained on.
    """
    versions = [resolve(model) for model in models]
    pinned = pin(dataset or versions[0].dataset)
    return side_by_side([evaluate(version, pinned, split) for version in versions])
