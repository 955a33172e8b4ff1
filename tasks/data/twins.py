"""Which of many vectors are nearly the same, and what belongs together by that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Array = np.ndarray
ROWS, BLOCK = 1024, 8192  # vectors set against so many others at a time: 32 MB of scores
EDGES = 2**20  # pairs that are kept before they are made into groups
ROUNDING = 1e-6  # of a product of float32 vectors: that of a vector with itself may fall short of 1 by it


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Of N vectors those that have others nearly the same.

    groups: (N,) int64, numbered from 0 by their first vectors, -1: it is like no other.
    scores: (N,) float32, the cosine similarity with the one that is most like it; -inf where none is alike.
    """

    groups: Array
    scores: Array


def alike(
    vectors: Array, least: float, watched: Callable[[Sequence[int]], Iterable[int]] = lambda starts: starts
) -> Alike:
    """Groups of (N, D) float32 vectors of length 1: any two with a cosine similarity of `least` or more are in one.

    So two of a group may be less alike where a third lies between them. Never more than a block of the N × N
    similarities is held, nor more pairs than it has, however many are alike.
    watched: is given the steps, for a progress bar.
    """
    vectors = np.asarray(vectors)
    labels, best = np.arange(len(vectors)), np.full(len(vectors), -np.inf, np.float32)
    pairs: list[tuple[Array, Array]] = []
    for start in watched(range(0, len(vectors), ROWS)):
        rows = vectors[start : start + ROWS]
        for other in range(start, len(vectors), BLOCK):
            scores = rows @ vectors[other : other + BLOCK].T
            if other == start:
                scores[:, : len(rows)][np.tri(len(rows), dtype=bool)] = -np.inf  # itself, and pairs seen from the other
            left, right = np.nonzero(scores >= least - ROUNDING)
            np.maximum.at(best, start + left, scores[left, right])
            np.maximum.at(best, other + right, scores[left, right])
            pairs.append((start + left, other + right))
            if sum(len(left) for left, _ in pairs) > EDGES:
                labels, pairs = _joined(labels, pairs), []
    return Alike(_numbered(_joined(labels, pairs)), best)


def _joined(labels: Array, pairs: list[tuple[Array, Array]]) -> Array:
    """The label of each vector's group, when these pairs, too, are in one."""
    if not pairs:
        return labels
    left, right = (labels[np.concatenate(side)] for side in zip(*pairs, strict=True))
    size = (len(labels), len(labels))
    _, joined = connected_components(coo_array((np.ones(len(left), bool), (left, right)), size), directed=False)
    return joined[labels]


def _numbered(labels: Array) -> Array:
    """By the place of each group's first vector; those that are alone get -1."""
    if not len(labels):
        return labels
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    first[counts == 1] = len(labels)
    numbers = np.argsort(np.argsort(first))
    return np.where(counts[inverse] > 1, numbers[inverse], -1)
