"""Two models on the same images: which is better, by how much, in words; and a model's row in a table of many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.runtime.faults import Fault, choices
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.clustering import ClusteringReport
from tasks.metrics.coco import TWELVE
from tasks.metrics.curves import Curve, pooled, rates
from tasks.metrics.detection import DetectionReport
from tasks.metrics.interval import UNDEFINED, Interval, paired
from tasks.metrics.retrieval import RetrievalReport

# Of fewer images nobody can tell: only from six on, all of which speak for one of two models, would a sign test say
# at 5 % that it is the better one (2 × ½⁶ = .03); the bootstrap of one image has no width.
FEWEST = 6
Verdict = Literal["better", "worse", "cannot tell"]
Report = ClassificationReport | DetectionReport | RetrievalReport | ClusteringReport

# By what a gate may tell them apart: higher is better, 0 to 1.
GATED = {
    "classification": (
        "accuracy",
        "subset_accuracy",
        "top5_accuracy",
        "macro_roc_auc",
        "macro_average_precision",
        "macro_f1",
        "macro_precision",
        "macro_recall",
    ),
    "detection": (*TWELVE, "precision", "recall", "f1"),
    "retrieval": ("recall_1", "recall_5", "recall_10", "map_r"),
    "clustering": ("silhouette", "purity", "nmi"),
}
# Of these, what no bootstrap follows: a gate by them needs to be told how much is enough.
UNBOUNDED = frozenset(TWELVE) - {"map", "map_50", "map_75"} | {"purity", "nmi"}
LOWER_IS_BETTER = frozenset({"log_loss", "calibration_error"})
OF_SCORES = ("macro_roc_auc", "macro_average_precision")  # need no decision, so mean the same for all
COUNTS = frozenset({"images", "boxes", "gallery", "clusters", "true_positives", "false_positives", "false_negatives"})

TOGETHER = "all concepts"  # what the curve of all is called

# Of a report's columns, those that are no sum or rate of its counts but have a number for the whole.
MEANS = (
    {"Average Precision": "map", "AP50": "map_50"},
    {"Accuracy (ROC AUC)": "macro_roc_auc", "Average Precision": "macro_average_precision"},
    {"Recall@1": "recall_1", "Recall@5": "recall_5", "Recall@10": "recall_10", "MAP@R": "map_r"},
    {"Silhouette": "silhouette", "Purity": "purity"},
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of two models on the same images, and what it says.

    champion, candidate: the metric of each.  difference: candidate − champion; nan when either is undefined.
    low, high: its 95 % interval, of pairs: both on the same redrawn images; nan where the metric has none.
    verdict: of the candidate, `better` or `worse` when the interval holds no other sign, else `cannot tell`.
    sentence: the same for a person.
    """

    metric: str
    champion: float
    candidate: float
    difference: float
    low: float
    high: float
    verdict: Verdict
    sentence: str

    @property
    def gain(self) -> float:
        """By how much the candidate is better: the difference, its sign turned where less is better."""
        return -self.difference if self.metric in LOWER_IS_BETTER else self.difference


def compare(
    champion: Report, candidate: Report, metric: str = "", names: tuple[str, str] = ("the champion", "the candidate")
) -> Difference:
    """Whether the candidate is better by a metric, the candidate's headline when none is named.

    The two are of the same images in the same order.  names: what the sentence calls them.
    Raises Fault when the two were not measured alike, or there is no such metric.
    """
    metric = metric or candidate.headline
    check_alike(champion, candidate, metric)
    known = comparable(champion, candidate)
    if metric not in known:
        raise Fault(f"there is no metric {metric!r} to compare models by. {choices(metric, known)}")
    interval = paired(champion.draws, candidate.draws).get(metric, UNDEFINED)
    return _difference(metric, champion, candidate, interval, names)


def comparisons(first: Report, second: Report, names: tuple[str, str]) -> list[Difference]:
    """Every number that both have, the headline first, each as `compare` says it; second against first.

    The two are of the same images in the same order. Raises Fault when they cannot be.
    """
    check_same_images(first, second)
    intervals = paired(first.draws, second.draws)
    known = sorted(comparable(first, second), key=lambda name: name != second.headline)
    return [_difference(name, first, second, intervals.get(name, UNDEFINED), names) for name in known]


def comparable(first: Report, second: Report) -> list[str]:
    """The metrics by which two models can be told apart: those that both have and that are no count of things."""
    known = [name for name in second.summary if name not in COUNTS and name in first.summary]
    return [name for name in known if not beside(name) and _alike(first, second, name)]


def beside(name: str) -> bool:
    """Whether it is the bound or the spread of another metric."""
    return name.endswith(("_low", "_high", "_std"))


def _difference(
    metric: str, champion: Report, candidate: Report, interval: Interval, names: tuple[str, str]
) -> Difference:
    old, new = champion.summary[metric], candidate.summary[metric]
    low, high = interval.low, interval.high
    verdict: Verdict = "cannot tell"
    if candidate.images >= FEWEST and (low > 0 or high < 0):
        verdict = "better" if (low > 0) != (metric in LOWER_IS_BETTER) else "worse"
    said = f"{names[1]} is {verdict}" if verdict != "cannot tell" else "nobody can tell which is better"
    numbers = f"{metric} {_number(new)} against {names[0]}'s {_number(old)}"
    change = "" if math.isnan(new - old) else f" ({new - old:+.4g}{_between(low, high)})"
    few = f" (of fewer than {FEWEST} nobody can tell)" if candidate.images < FEWEST else ""
    sentence = f"{said}: {numbers}{change} on {candidate.images} images{few}"
    return Difference(metric, old, new, new - old, low, high, verdict, sentence)


def _between(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"; 95 % interval {low:+.4g} to {high:+.4g}"


def curves_of(reports: Sequence[Any], most: int = 11) -> dict[str, list[Curve | None]]:
    """By concept, each report's curve: all concepts together first, then so many of those with most to find.

    None where a report does not have that concept; empty where a report has no curves.
    """
    if not reports or not all(hasattr(report, "curves") for report in reports):
        return {}
    known = [dict(zip(report.concepts, report.curves, strict=True)) for report in reports]
    to_find = {name: sum(one[name].positives for one in known if name in one) for one in known for name in one}
    chosen = sorted((name for name in to_find if to_find[name]), key=lambda name: -to_find[name])[:most]
    together: dict[str, list[Curve | None]] = {TOGETHER: [pooled(report.curves) for report in reports]}
    return together | {name: [one.get(name) for one in known] for name in chosen}


def total(summary: Mapping[str, float], per_concept: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The row of all concepts together, from a report's: sums of the counts, and rates that follow from the sums."""
    counts = {
        column: sum(row[column] for row in per_concept)
        for column in per_concept[0]
        if column.startswith(("Total ", "True ", "False "))
    }
    means = next((means for means in MEANS if means.keys() <= per_concept[0].keys()), MEANS[-1])
    counted = [counts[name] for name in ("True Positives", "False Positives", "False Negatives") if name in counts]
    return {
        **{column: summary.get(name, math.nan) for column, name in means.items() if column in per_concept[0]},
        **counts,
        **(rates(*counted) if counted else {}),
    }


def check_alike(champion: Report, candidate: Report, metric: str) -> None:
    """Raises Fault when two reports are not of the same images, or a metric means something else in each."""
    check_same_images(champion, candidate)
    if not _alike(champion, candidate, metric):
        raise Fault(
            f"{metric} means one thing for a model whose concepts exclude each other and another for one "
            f"whose do not, and the two are one of each; compare them by {' or '.join(OF_SCORES)}"
        )


def check_same_images(champion: Report, candidate: Report) -> None:
    """Raises Fault when two reports are not of the same task and the same number of images."""
    if champion.task != candidate.task:
        raise Fault(
            f"a model for {champion.task} and one for {candidate.task} cannot be compared; "
            "name two of the same model type"
        )
    if champion.images != candidate.images:
        raise Fault(
            f"the champion was measured on {champion.images} images and the candidate on {candidate.images}; "
            "evaluate both on the same dataset version and split"
        )


def _alike(first: Report, second: Report, metric: str) -> bool:
    """Whether a metric means the same in both."""
    classifiers = isinstance(first, ClassificationReport) and isinstance(second, ClassificationReport)
    return not classifiers or first.exclusive == second.exclusive or metric in OF_SCORES  # type: ignore[union-attr]


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4g}"
