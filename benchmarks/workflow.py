"""What the graph costs: a one-node workflow beside its predictor, and the memory of many pictures.

    python -m benchmarks.workflow overhead MODEL FOLDER [--rounds 20 --batches 8]
    python -m benchmarks.workflow memory WORKFLOW FOLDER --images 20000

MODEL, WORKFLOW: registered here, or a file; FOLDER: pictures.
overhead: CPU time of the same batches, predictor and workflow in turn with each batch, which of them first changing
too, so that what else the machine does falls on both; the mean of the rounds' ratios with its 95 % interval.
memory: answers, in a folder of its own, for so many pictures (those of FOLDER again and again), and prints this
process's peak, 10⁶ bytes; call it once for each number of pictures.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from models.runtime.images import SUFFIXES, decode
from tasks.workspace import settle

BATCH = 16


def pictures(folder: str, count: int) -> list[Path]:
    """So many pictures of a folder, again from the first where it has fewer."""
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    return [found[i % len(found)] for i in range(count)]


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds that it takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def overhead(model: str, folder: str, rounds: int, count: int) -> None:
    """Print how much more a workflow of one node costs."""
    from tasks.workflows import job_of, ready

    workflow = ready(job_of(model))
    (predictor,) = workflow.predictors.values()
    batches = [[decode(path) for path in pictures(folder, BATCH)] for _ in range(count)]
    ways: list[Callable[[list], object]] = [predictor.predict, workflow.started()]
    for way in ways:
        way(batches[0])
    took = np.zeros((rounds, 2))
    for n in range(rounds):
        for at, batch in enumerate(batches):
            for i in (0, 1) if (n + at) % 2 else (1, 0):
                took[n, i] += seconds(partial(ways[i], batch))
    ratios = took[:, 1] / took[:, 0]
    half = 1.96 * ratios.std(ddof=1) / np.sqrt(rounds)
    mean = ratios.mean()
    sys.stdout.write(
        f"{model}: workflow / predictor {mean:.4f} (95 % {mean - half:.4f} to {mean + half:.4f}), {rounds} rounds\n"
    )


def memory(workflow: str, folder: str, count: int) -> None:
    """Print the peak of this process after so many pictures."""
    from tasks.gather import gather
    from tasks.inputs import Inputs, parts
    from tasks.output import PARTS
    from tasks.predict import predict_shard
    from tasks.workflows import job_of

    job = job_of(workflow)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "pictures"
        place.mkdir()
        for i, path in enumerate(pictures(folder, count)):
            (place / f"{i:06d}{path.suffix}").symlink_to(path.resolve())
        given, out = Inputs(paths=(str(place),)), Path(scratch) / "out"
        (out / PARTS).mkdir(parents=True)
        shards = [predict_shard.fn(job, part, given, out, False) for part in parts(given)[0]]
        done = gather.fn(job, shards, [], out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    sys.stdout.write(f"{job.name}: {done['images']} pictures, peak {peak:.0f} MB\n")


def main() -> None:
    """The command line."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("what", choices=("overhead", "memory"))
    given.add_argument("model")
    given.add_argument("folder")
    given.add_argument("--rounds", type=int, default=20)
    given.add_argument("--batches", type=int, default=8, help="of each round")
    given.add_argument("--images", type=int, default=200)
    asked = given.parse_args()
    settle()
    if asked.what == "overhead":
        overhead(asked.model, asked.folder, asked.rounds, asked.batches)
    else:
        memory(asked.model, asked.folder, asked.images)


if __name__ == "__main__":
    main()
