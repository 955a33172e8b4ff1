"""Measure a registered model on one split of a dataset."""

from prefect import flow

from tasks import evaluate as verbs
from tasks.plan import pin
from tasks.registry import resolve


@flow(flow_run_name="evaluate {model} on {dataset} {split}")
def evaluate(model: str, dataset: str = "", split: str = "test", threshold: float | None = None) -> verbs.Evaluation:
    """Measure a registered model on one split of a dataset: numbers, tables, curves.

    dataset: empty means the one it was trained on.
    """
    version = resolve(model)
    return verbs.evaluate(version, pin(dataset or version.dataset), split, threshold)
