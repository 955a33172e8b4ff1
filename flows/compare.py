"""Measure several models on the same images and set their numbers side by side."""

from typing import Any

from prefect import flow

from tasks.evaluate import evaluate
from tasks.plan import pin
from tasks.registry import resolve
from tasks.report import side_by_side


@flow(flow_run_name="compare models on {dataset} {split}")
def compare(models: list[str], dataset: str = "", split: str = "test") -> list[dict[str, Any]]:
    """Measure several models on the same images and set their numbers side by side.

    dataset: empty means the one the first model was trained on.
    """
    versions = [resolve(model) for model in models]
    pinned = pin(dataset or versions[0].dataset)
    return side_by_side([evaluate(version, pinned, split) for version in versions])
