"""What an evaluation adds to its predictions: seconds, and memory as the images grow in number.

    .venv/bin/python -m benchmarks.evaluation digit-scenes-detector digit-scenes     # where `make demo` ran

Seconds: each round in a process of its own, once the answers on the test split are kept: numbers, intervals, tables,
sheets, the page, MLflow. Memory: drawn images with what a middling detector finds in them; by how much the most memory
that a process ever held, while it measures them and makes tables and page, exceeds what it held with the predictions.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import coco

IMAGES = (2_000, 4_000, 8_000)


def seconds(model: str, dataset: str, number: int) -> dict[str, Any]:
    """One evaluation beside its answers, in this process."""
    from tasks.evaluate import evaluate
    from tasks.kept import answered
    from tasks.plan import pin
    from tasks.registry import resolve

    version, pinned = resolve(model), pin(dataset)
    answered(version, pinned, "test")
    wall, cpu = time.monotonic(), time.process_time()
    evaluate.fn(version, pinned, "test", precision=0.5 + number / 1000)  # another question each time, so none is known
    return {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}


def memory(images: int) -> dict[str, Any]:
    """Of so many drawn images, without pictures on disk."""
    from tasks.data.dataset import Dataset
    from tasks.html.facts import Facts
    from tasks.html.page import evaluation_page
    from tasks.metrics.detection import detection
    from tasks.tables import tables

    process = psutil.Process()
    coco.IMAGES, coco.BOXES, coco.FOUND = images, 7 * images, 7 * images
    empty = process.memory_info().rss
    annotations, found, names = coco.drawn()
    before = process.memory_info().rss
    report = detection(annotations, found, names, 0.3)
    facts = Facts("a/1", "visual-detector", "", "drawn", "", "test", images, 0, {}, "", str(datetime.now(UTC)), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset("drawn", Path(folder), "detection", True, names, tuple(annotations))
        evaluation_page(report, facts, dataset, annotations, found, tables(report, annotations, found))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"predictions": (before - empty) / 2**20, "more": (most - before) / 2**20}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        what, number = given.once[0], int(given.once[1])
        done = memory(number) if what == "memory" else seconds(given.model, given.dataset, number)
        print("\n" + json.dumps(done))  # noqa: T201
        return

    def once(what: str, number: int) -> dict[str, Any]:
        asked = (given.model, given.dataset, "--once", what, str(number))
        command = [sys.executable, "-m", "benchmarks.evaluation", *asked]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(told.strip().splitlines()[-1])

    start = time.time_ns() // 10**6 % 400  # so that a second call asks other questions
    rows = [once("seconds", start + i) for i in range(given.rounds)]
    for name in ("wall", "cpu"):
        values = np.sort([row[name] for row in rows])
        told = f"{np.median(values):.1f} ({values[0]:.1f} to {values[-1]:.1f})"
        print(f"{name} seconds beyond the predictions, median of {given.rounds}: {told}", flush=True)  # noqa: T201
    for images in IMAGES:
        row = once("memory", images)
        print(f"{images:>6} images: predictions and labels {row['predictions']:4.0f} MB, more {row['more']:4.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
