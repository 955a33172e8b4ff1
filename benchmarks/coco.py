"""What COCO's twelve numbers cost by each engine, at the size of COCO's val set: CPU time and memory.

    .venv/bin/python benchmarks/coco.py

5,000 images, 37,000 boxes of 80 concepts, 37,000 regions: drawn at random, most of them near a box. The engines go by
turns, each measurement in a process of its own: CPU seconds from our values to the numbers, and by how much the most
memory that the process ever held exceeds what it held before. Printed are all rounds, the median of the ratios of
neighbours with a 95 % bootstrap interval, and whether the numbers are the same to the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import psutil

from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation
from tasks.metrics.coco import ENGINE, ENGINES, coco

IMAGES, BOXES, FOUND, CONCEPTS = 5_000, 37_000, 37_000, 80


def drawn(seed: int = 0) -> tuple[list[Annotation], list[Regions], tuple[str, ...]]:
    """Labelled images and what a middling detector would find in them."""
    random = np.random.default_rng(seed)
    names = tuple(f"concept {i}" for i in range(CONCEPTS))
    image = np.sort(random.integers(0, IMAGES, BOXES))
    corners = random.uniform(0, 400, (BOXES, 2))
    boxes = np.hstack([corners, corners + np.exp(random.normal(3.8, 1.0, (BOXES, 2)))]).round(2)
    labels = random.integers(0, CONCEPTS, BOXES)
    crowd = random.random(BOXES) < 0.01
    near = random.integers(0, BOXES, FOUND)
    sides = np.tile(boxes[near, 2:] - boxes[near, :2], 2)
    found = boxes[near] + random.normal(0, 0.08, (FOUND, 4)) * sides
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    said = np.where(random.random(FOUND) < 0.8, labels[near], random.integers(0, CONCEPTS, FOUND))
    scores = random.random(FOUND).astype(np.float32)
    annotations, regions = [], []
    for i in range(IMAGES):
        mine, theirs = np.flatnonzero(image == i), np.flatnonzero(image[near] == i)
        flags = tuple(crowd[mine].tolist())
        rows = tuple(map(tuple, boxes[mine].tolist()))
        areas = tuple(np.prod(boxes[mine, 2:] - boxes[mine, :2], axis=1).tolist())
        told = tuple(names[label] for label in labels[mine])
        none = (False,) * len(mine)
        annotations.append(Annotation(f"{i:05d}", f"{i:064d}", 640, 480, "test", (), rows, areas, told, flags, none))
        regions.append(Regions(found[theirs], scores[theirs], said[theirs], names))
    return annotations, regions, names


def once(engine: str) -> dict[str, object]:
    """One measurement, in this process. What is imported is not what is measured."""
    import hotcoco  # noqa: F401
    import pycocotools.cocoeval  # noqa: F401

    os.environ[ENGINE] = engine
    given = drawn()
    before, began = psutil.Process().memory_info().rss, time.process_time()
    twelve, average = coco(*given)
    spent = time.process_time() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu": spent, "mb": (most - before) / 2**20, "numbers": twelve, "sum": float(np.nansum(average))}


def main() -> None:
    """Measure by turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--once", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(given.once)))  # noqa: T201
        return
    rounds: dict[str, list[dict[str, object]]] = {name: [] for name in ENGINES}
    for number in range(given.rounds):
        for name in ENGINES:
            command = [sys.executable, __file__, "--once", name]
            rounds[name].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            row = rounds[name][-1]
            print(f"round {number + 1}  {name:<12} {row['cpu']:7.3f} CPU s  {row['mb']:6.0f} MB", flush=True)  # noqa: T201
    fast, slow = (np.array([row["cpu"] for row in rounds[name]], float) for name in ("hotcoco", "pycocotools"))
    ratios = slow / fast
    draws = np.random.default_rng(0).integers(0, len(ratios), (2000, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), [2.5, 97.5])
    same = len({json.dumps([row["numbers"], row["sum"]]) for each in rounds.values() for row in each}) == 1
    print(f"pycocotools / hotcoco: {np.median(ratios):.1f} (95 % interval {low:.1f} to {high:.1f})")  # noqa: T201
    print(f"numbers: {'the same to the last bit' if same else 'DIFFERENT'}")  # noqa: T201


if __name__ == "__main__":
    main()
