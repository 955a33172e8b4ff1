"""How many of a dataset's boxes a workflow finds and reads right: a detector's regions, named anew by a classifier.

    python -m benchmarks.reading [WORKFLOW] [--node read] [--dataset digit-scenes] [--split test]

After `make demo`. A labelled box is found where a region overlaps it by half (IoU ≥ .5), one region for each box and
one box for each region, the surest region first; it is read right where that region's concept is the box's own. Prints
both as shares of the labelled boxes, with the 95 % interval from resampling pictures, and which share of the answers is
right.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from models.runtime.images import decode
from models.runtime.operators.overlaps import overlaps
from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.data.dataset import named_dataset
from tasks.workflows import job_of, ready
from tasks.workspace import settle

BATCH, RESAMPLED = 16, 2000


def counted(regions: Regions, labelled: Annotation) -> tuple[int, int, int, int]:
    """(boxes, found, read right, answers) of one picture."""
    boxes = np.array(labelled.boxes, float).reshape(-1, 4)
    free, right = np.ones(len(boxes), bool), 0
    for i in np.argsort(-regions.scores, kind="stable"):
        shared = overlaps(boxes, regions.boxes[i]) * free
        if len(boxes) and shared.max() >= 0.5:
            free[best := int(shared.argmax())] = False
            right += regions.concepts[regions.labels[i]] == labelled.box_concepts[best]
    return len(boxes), int((~free).sum()), right, len(regions)


def main() -> None:
    """The command line."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("workflow", nargs="?", default="read-the-number")
    given.add_argument("--node", default="read")
    given.add_argument("--dataset", default="digit-scenes")
    given.add_argument("--split", default="test")
    asked = given.parse_args()
    settle()
    dataset = named_dataset(asked.dataset)
    entries, answer = dataset.split(asked.split), ready(job_of(asked.workflow)).started()
    if not entries:
        given.error(f"{asked.dataset} has no pictures in the split {asked.split!r}")
    rows: list[tuple[int, int, int, int]] = []
    for start in range(0, len(entries), BATCH):
        some = entries[start : start + BATCH]
        found = answer([decode(dataset.path(entry)) for entry in some])
        rows += [counted(nodes[asked.node], entry) for nodes, entry in zip(found, some, strict=True)]
    counts = np.array(rows, float)
    drawn = counts[np.random.default_rng(0).integers(0, len(counts), (RESAMPLED, len(counts)))].sum(axis=1)
    boxes, seen, right, answers = counts.sum(axis=0)
    low, high = np.quantile(drawn[:, 2] / drawn[:, 0], (0.025, 0.975))
    sys.stdout.write(
        f"{asked.workflow}: of {boxes:.0f} boxes on {len(counts)} pictures {seen / boxes:.4f} found, "
        f"{right / boxes:.4f} read right (95 % {low:.4f} to {high:.4f}); "
        f"of {answers:.0f} answers {right / max(1, answers):.4f} right\n"
    )


if __name__ == "__main__":
    main()
