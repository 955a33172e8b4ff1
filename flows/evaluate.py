"""Measure a registered model on one split of a dataset."""

from prefect import flow
from prefect.runtime import flow_run

from tasks import evaluate as verbs
from tasks.plan import pin
from tasks.registry import resolve


def named() -> str:
    """What a run is called: by the dataset where one is given."""
    given = flow_run.parameters  # of a deployment's run, those alone that it was given
    return f"evaluate {given['model']} on {given.get('dataset') or 'its own'} {given.get('split', 'test')}"


@flow(flow_run_name=named)
def evaluate(
    model: str,
    dataset: str = "",
    split: str = "test",
    threshold: float | None = None,
    precision: float = 0.95,
    iou: float = 0.5,
) -> verbs.Evaluation:
    """Measure a registered model on one split of a dataset: numbers, tables, curves.

    dataset: empty means the one it was trained on.
    split: several with `+` between: val+test.
    threshold: from which score something counts; empty: the model's own.
    precision: for which each concept's threshold is looked up.
    iou: from which overlap on a region hits a box, above 0 and at most 1.
    """
    version = resolve(model)
    return verbs.evaluate(version, pin(dataset or version.dataset), split, threshold, precision, iou)
