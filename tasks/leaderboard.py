"""The registry as a table: what each version is, and how good it is on a dataset."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mlflow.entities import Run

from models.catalog import TEMPLATES, TYPES
from models.runtime.faults import Fault, choices, short
from tasks.data.annotations import SPLITS
from tasks.data.dataset import datasets
from tasks.files import Rows
from tasks.metrics.compare import LOWER_IS_BETTER, beside
from tasks.registry import Version, client, versions

HELD_OUT = ("accuracy", "macro_average_precision", "map_50", "map", "recall_1", "silhouette")  # shown without `by`


def leaderboard(
    name: str = "", dataset: str = "", by: str = "", split: str = "test", type: str = "", template: str = ""
) -> Rows:
    """A row a version, the best first where a metric is named; those that were not measured on the dataset come last.

    name, type, template: only those.  dataset: on which it was measured; empty: the one each was trained on.
    by: a metric; empty: in the order of names, with the numbers that count of each type.
    Of several measurements of a version the newest at its own threshold counts. Raises Fault where nobody was measured
    by that metric, with those there are, and for a name, dataset, split, type or template that there is none of.
    """
    for part in split.split("+"):
        _known("split", part or "(empty)", SPLITS)
    every = versions()
    _known("model", name, {entry.name for entry in every})
    measured = _measured(split)
    _known("dataset", dataset, {*datasets(), *(entry.dataset for entry in every), *(where for _, where in measured)})
    _known("model type", type, TYPES)
    _known("template", template, TEMPLATES)
    chosen = [
        entry
        for entry in every
        if name in ("", entry.name)
        and type in ("", entry.type)
        and template in ("", entry.template)
        and (dataset or not by or entry.dataset)
    ]
    found = [(entry, measured.get((entry.logged_model, dataset or entry.dataset), {})) for entry in chosen]
    rows = [_row(entry, numbers, by) for entry, numbers in found]
    if not by:
        return rows
    known = sorted({key for _, numbers in found for key in numbers if not beside(key)} - set(SHOWN))
    if chosen and by not in known:
        where = f"on the {split} split" + (f" of {dataset}" if dataset else "")
        how = f"`sightline evaluate {chosen[0]} --dataset {dataset or chosen[0].dataset}` measures one"
        raise Fault(f"no version was measured by {by!r} {where}. {choices(by, known)} ({how}.)")
    sign = 1 if by in LOWER_IS_BETTER else -1
    return sorted(rows, key=lambda row: (row[by] is None, sign * (row[by] or 0), row["model"]))


def _known(what: str, given: str, names: Collection[str]) -> None:
    if given and given not in names:
        raise Fault(f"there is no {what} {short(given)!r}. {choices(given, names)}")


SHOWN = ("measured version", "images", "seen in training", "ms an image")  # of a measurement, beside its metrics


def _row(entry: Version, numbers: dict[str, Any], by: str) -> dict[str, Any]:
    """One version's line."""
    metrics = (by,) if by else HELD_OUT
    return {
        "model": str(entry),
        "aliases": ", ".join(entry.aliases),
        **{key: numbers.get(key) for key in metrics},
        "type": entry.type,
        "template": entry.template,
        "dataset": entry.dataset,
        "dataset version": entry.dataset_version[:8],
        "measured version": numbers.get("measured version") if by else None,
        "images": numbers.get("images") if by else None,
        "seen in training": numbers.get("seen in training") or None,
        "MB": entry.megabytes or None,
        "ms an image": (numbers.get("ms an image") if by else entry.milliseconds) or None,
        "registered": entry.created[:16].replace("T", " "),
    }


def _measured(split: str) -> dict[tuple[str, str], dict[str, Any]]:
    """By version and dataset, the numbers of its newest evaluation at its own threshold."""
    registry, token = client(), None
    found: dict[tuple[str, str], dict[str, Any]] = {}
    experiments = [entry.experiment_id for entry in registry.search_experiments()]
    condition = f"tags.stage = 'evaluate' and tags.split = '{split}' and attributes.status = 'FINISHED'"
    while True:
        page = registry.search_runs(experiments, condition, order_by=["attributes.start_time DESC"], page_token=token)
        for run in page:
            tags = run.data.tags
            if tags.get("counts", "own") == "own":
                found.setdefault((tags.get("logged_model", ""), tags.get("dataset", "")), _numbers(run))
        token = page.token
        if not token:
            return found


def _numbers(run: Run) -> dict[str, Any]:
    tags = run.data.tags
    return {
        **run.data.metrics,
        "images": int(run.data.metrics.get("images", 0)),
        "measured version": tags.get("dataset_version", "")[:8],
        "seen in training": int(tags.get("seen_in_training", 0)),
        "ms an image": float(tags.get("milliseconds", 0)),
    }
