"""Two models on the same images: which is better, by how much, in words; and a model's row in a table of many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.runtime.faults import Fault, choices
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.clustering import ClusteringReport
from tasks.metrics.coco import TWELVE
from tasks.metrics.curves import rates
from tasks.metrics.detection import DetectionReport
from tasks.metrics.retrieval import RetrievalReport

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
LOWER_IS_BETTER = frozenset({"log_loss", "calibration_error", "false_positives", "false_negatives"})
OF_SCORES = ("macro_roc_auc", "macro_average_precision")  # need no decision, so mean the same for all
NOT_A_SCORE = frozenset({"images", "boxes", "gallery", "clusters"})
COUNTS = NOT_A_SCORE | {"true_positives", "false_positives", "false_negatives"}

# Of a report's columns, those that are no sum or rate of its counts but have a number for the whole.
MEANS = (
    {"Average Precision": "map", "AP50": "map_50"},
    {"Accuracy (ROC AUC)": "macro_roc_auc", "Average Precision": "macro_average_precision"},
    {"Recall@1": "recall_1", "Recall@5": "recall_5", "Recall@10": "recall_10", "MAP@R": "map_r"},
    {"Silhouette": "silhouette", "Purity": "purity"},
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of two models, and what it says.

    champion, candidate: the metric of each.  difference: candidate − champion; nan when either is undefined.
    better: whether the candidate is.  sentence: the same for a person.
    """

    metric: str
    champion: float
    candidate: float
    difference: float
    better: bool
    sentence: str


def compare(champion: Report, candidate: Report, metric: str = "") -> Comparison:
    """Whether the candidate is better by a metric, the candidate's headline when none is named.

    Equal is not better; nor is a candidate of whom nobody can tell, because a number is undefined.
    Raises Fault when the two were not measured alike, or there is no such metric.
    """
    metric = metric or candidate.headline
    _check_alike(champion, candidate, metric)
    known = [name for name in candidate.summary if name not in NOT_A_SCORE and name in champion.summary]
    known = [name for name in known if not name.endswith(("_low", "_high"))]
    if metric not in known:
        raise Fault(f"there is no metric {metric!r} to compare models by. {choices(metric, known)}")
    old, new = champion.summary[metric], candidate.summary[metric]
    gain = old - new if metric in LOWER_IS_BETTER else new - old
    if math.isnan(gain):
        verdict = "nobody can tell which is better"
    elif gain == 0:
        verdict = "the candidate is no better"
    else:
        verdict = f"the candidate is {'better' if gain > 0 else 'worse'}"
    numbers = f"{metric} {_number(new)} against the champion's {_number(old)}"
    change = "" if math.isnan(gain) else f" ({new - old:+.4g})"
    sentence = f"{verdict}: {numbers}{change} on {candidate.images} images"
    return Comparison(metric, old, new, new - old, gain > 0, sentence)


def total(model: str, summary: Mapping[str, float], per_concept: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A model's row from the two parts of its report: sums of the counts, and rates that follow from the sums."""
    counts = {
        column: sum(row[column] for row in per_concept)
        for column in per_concept[0]
        if column.startswith(("Total ", "True ", "False "))
    }
    means = next((means for means in MEANS if means.keys() <= per_concept[0].keys()), MEANS[-1])
    counted = [counts[name] for name in ("True Positives", "False Positives", "False Negatives") if name in counts]
    return {
        "Total Concept": f"Model:{model}",
        **{column: summary.get(name, math.nan) for column, name in means.items() if column in per_concept[0]},
        **counts,
        **(rates(*counted) if counted else {}),
    }


def _check_alike(champion: Report, candidate: Report, metric: str) -> None:
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
    if (
        isinstance(champion, ClassificationReport)
        and isinstance(candidate, ClassificationReport)
        and champion.exclusive != candidate.exclusive
        and metric not in OF_SCORES
    ):
        raise Fault(
            f"{metric} means one thing for a model whose concepts exclude each other and another for one "
            f"whose do not, and the two are one of each; compare them by {' or '.join(OF_SCORES)}"
        )


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4g}"
