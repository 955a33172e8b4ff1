"""What tracking through Sightline costs beside the library `trackers` used directly, in CPU time.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/tracking.py

Both follow the same seeded boxes, which move and are missed now and then: one calls the library's `update`, the other
Sightline's operator. They go by turns, frame by frame, and must give the same ids. Printed for each tracker is the
median over the rounds of Sightline's CPU time as a multiple of the library's, with a 95 % bootstrap interval, and how
many frames a second Sightline follows on one core; `centroid` is Sightline's own and has no other to be beside.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import trackers
from supervision import Detections

from models.runtime.operators import OPERATORS
from models.runtime.predictions import Regions

LIBRARY = {"sort": trackers.SORTTracker, "byte-track": trackers.ByteTrackTracker, "oc-sort": trackers.OCSORTTracker}


def scene(frames: int, objects: int) -> list[Regions]:
    """Boxes on straight ways in a picture of 1920 × 1080, one in ten missed, their rows in any order."""
    random = np.random.default_rng(0)
    places, speeds = random.uniform(0, 1000, (objects, 2)), random.normal(0, 4, (objects, 2))
    half, found = random.uniform(20, 60, (objects, 2)), []
    for _ in range(frames):
        places += speeds
        speeds[(places < 0) | (places > 1080)] *= -1
        seen = random.permutation(np.flatnonzero(random.random(objects) > 0.1))
        middles = places[seen] + random.normal(0, 1, (len(seen), 2))
        boxes = np.concatenate([middles - half[seen], middles + half[seen]], axis=1)
        scores = random.uniform(0.3, 1, len(seen)).astype(np.float32)
        found.append(Regions(boxes, scores, np.zeros(len(seen), np.int64), ("thing",)))
    return found


def round_of(name: str, frames: list[Regions]) -> tuple[float, float]:
    """CPU seconds of Sightline's operator and of the library (0 for one that it lacks) over a video.

    Both get the same times, to the bit: the library reckons its motion anew for each step that is not like the last.
    """
    ours, library = OPERATORS[name]().started(), LIBRARY[name]() if name in LIBRARY else None
    spent = [0.0, 0.0]
    ids: tuple[list[list[int]], list[list[int]]] = ([], [])
    for at, frame in enumerate(frames):
        for who in (at % 2, 1 - at % 2):  # who comes second finds its code warm
            began = time.process_time()
            if who == 0:
                told = ours(regions=frame, time_ms=at * 40).more["track_id"]
            elif library is None:
                continue
            else:
                given = Detections(xyxy=frame.boxes, confidence=frame.scores)
                told = library.update(given, timestamp=at * 40 / 1000).tracker_id
            spent[who] += time.process_time() - began
            ids[who].append(sorted(told.tolist()))
    assert library is None or ids[0] == [[one + 1 or -1 for one in each] for each in ids[1]]
    return spent[0], spent[1]


def main() -> None:
    """Measure each tracker and print a line of it."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=20)
    asked.add_argument("--frames", type=int, default=300)
    asked.add_argument("--objects", type=int, default=20, help="in a frame")
    chosen = asked.parse_args()
    frames = scene(chosen.frames, chosen.objects)
    for name in [*LIBRARY, "centroid"]:
        round_of(name, frames[:30])  # sets up
        ours, theirs = np.array([round_of(name, frames) for _ in range(chosen.rounds)]).T
        line = f"{name}: {chosen.frames / np.median(ours):.0f} frames a second with {chosen.objects} objects"
        if name in LIBRARY:
            drawn = np.random.default_rng(0).choice(ours / theirs, (2000, chosen.rounds))
            low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
            line += f", {np.median(ours / theirs):.3f} times the library's CPU time, {low:.3f} to {high:.3f}"
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
