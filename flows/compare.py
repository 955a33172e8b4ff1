"""Measure several models on the same images, or one on several datasets, and say which is better."""

from itertools import product

from prefect import flow
from prefect.runtime import flow_run

from tasks import compare as verbs
from tasks.evaluate import evaluate
from tasks.plan import pin
from tasks.registry import resolve


def named() -> str:
    """What a run is called: by the datasets where some are given."""
    given = flow_run.parameters  # of a deployment's run, those alone that it was given
    where = ", ".join(given.get("datasets") or ["the data of the first"])
    return f"compare {', '.join(given['models'])} on {where} {', '.join(given.get('splits') or ['test'])}"


@flow(flow_run_name=named)
def compare(
    models: list[str],
    datasets: list[str] | None = None,
    splits: list[str] | None = None,
    threshold: float | None = None,
    iou: float = 0.5,
) -> verbs.Comparison:
    """Measure several models on the same images, or one on several datasets, and say which is better.

    models: names, name@alias, name/number, or folders with a version's files.
    datasets: empty means the one the first model was trained on.
    splits: empty means test.
    threshold: from which score something counts; empty: each model's own.
    iou: from which overlap on a region hits a box, above 0 and at most 1.
    """
    versions = [resolve(model) for model in models]
    pinned = [pin(dataset) for dataset in datasets or [versions[0].dataset]]
    measurements = verbs.apart(product(versions, pinned, splits or ["test"]))
    evaluations = [evaluate(*each, threshold=threshold, iou=iou) for each in measurements]
    return verbs.compare(measurements, evaluations, threshold, iou)
