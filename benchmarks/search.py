"""Visual search beside faiss used directly: exact by time and recall, the graph (HNSW) by recall and rate.

    OMP_NUM_THREADS=2 .venv/bin/python -m benchmarks.search             # two minutes, 1 GB

The vectors are drawn: a mixture of 200 overlapping clouds in 32 dimensions, carried into 512 by a random map whose
negative half is cut off, with noise in all 512. Nearest neighbours have a cosine similarity of about .8, two at random
.3: finding the cloud is not enough. Questions are drawn alike, and are not among them. Times are medians of rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from tasks.data.graph import QUESTIONS, Graph
from tasks.data.nearest import exact, unit

SIZE, CLOUDS, INTRINSIC, NOISE = 512, 200, 32, 0.1
REST = 0.2  # seconds before each is timed: the threads of the one before wait for more in a loop, and hold a core
BATCHES, ROUNDS = (1, 10, 100, 1000), 7


def drawn(count: int, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, SIZE) and (questions, SIZE) float32 of length 1."""
    random = np.random.default_rng(0)
    clouds, carry = random.standard_normal((CLOUDS, INTRINSIC)), random.standard_normal((INTRINSIC, SIZE))

    def some(many: int) -> np.ndarray:
        inside = clouds[random.integers(0, CLOUDS, many)] + random.standard_normal((many, INTRINSIC))
        return unit(np.maximum(inside @ carry, 0) + NOISE * random.standard_normal((many, SIZE)))

    return some(count), some(questions)


def seconds(*sides: Callable[[], object]) -> list[tuple[float, float]]:
    """(wall, processor) seconds of each side, medians of rounds by turns."""
    times: list[list[tuple[float, float]]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for taken, side in zip(times, sides, strict=True):
            time.sleep(REST)
            wall, processor = time.perf_counter(), time.process_time()
            side()
            taken.append((time.perf_counter() - wall, time.process_time() - processor))
    return [tuple(np.median(taken, axis=0)) for taken in times]  # type: ignore[misc]


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """The share of the true ones that were found."""
    return float((true[:, :, None] == found[:, None, :]).any(axis=2).mean())


def rates(flat: faiss.Index, mapped: np.ndarray, graph: Graph, asked: np.ndarray) -> None:
    """Print how long each takes for batches of questions."""
    for batch in BATCHES:
        some = asked[:batch]
        (theirs, cpu), (ours, our_cpu), (walk, _) = seconds(
            lambda some=some: flat.search(some, 10),
            lambda some=some: exact(mapped, some, 10),
            lambda some=some: graph.nearest(mapped, some, 10),
        )
        print(  # noqa: T201
            f"{batch:>5} asked: faiss flat {1e3 * theirs:.1f} ms (processors {1e3 * cpu:.1f}), "
            f"exact {1e3 * ours:.1f} ({1e3 * our_cpu:.1f}), {ours / theirs:.2f} × ({our_cpu / cpu:.2f} ×); "
            f"graph {1e3 * walk:.1f}, {theirs / walk:.1f} × faiss's rate, {ours / walk:.1f} × ours",
            flush=True,
        )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vectors", type=int, default=100_000)
    given = parser.parse_args()
    vectors, asked = drawn(given.vectors, max(BATCHES))
    flat = faiss.IndexFlatIP(SIZE)
    flat.add(vectors)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "vectors.npy", vectors)
        mapped = np.load(Path(folder) / "vectors.npy", mmap_mode="r")
        true = flat.search(asked, 10)[1]
        started, graph = time.perf_counter(), Graph.new(mapped)
        graph.add(mapped[:-QUESTIONS])
        graph.tune(mapped[:-QUESTIONS], mapped[-QUESTIONS:])
        graph.add(mapped[-QUESTIONS:])
        took = time.perf_counter() - started
        graph.write(Path(folder) / "graph.faiss")
        graph, megabytes = Graph.read(Path(folder) / "graph.faiss"), (Path(folder) / "graph.faiss").stat().st_size / 1e6
        every = recall(exact(mapped, asked, 10).rows, true)
        print(f"{given.vectors:,} × {SIZE}, the ten nearest of {len(asked)}; exact: recall {every}", flush=True)  # noqa: T201
        found = recall(graph.nearest(mapped, asked, 10).rows, true)
        print(f"graph: made in {took:.0f} s, {megabytes:.0f} MB, walk {graph.walk}, recall {found:.4f}", flush=True)  # noqa: T201
        rates(flat, mapped, graph, asked)


if __name__ == "__main__":
    main()
