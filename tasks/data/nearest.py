"""Which of many vectors are nearest to one, every one looked at that a mask lets in.

Nearness is cosine similarity: the product of vectors of length 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np

from models.runtime.faults import Fault

Array = np.ndarray
EXACT = 200_000  # vectors up to which all are looked at
BLOCK, SCORES = 8192, 2**21  # vectors that are looked at together, at least, and their similarities
FEW = 3  # vectors asked about, up to which a matrix product does not pay
ASKED = 1024  # vectors asked about together: with a BLOCK 32 MB of scores


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Of each vector asked about the nearest ones, the nearest first.

    scores: (Q, K) float32, cosine similarities, -inf where there is no further vector.
    rows: (Q, K) int64 into the vectors, -1 there.
    """

    scores: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)


def unit(vectors: Array) -> Array:
    """(N, D) of any floats as (N, D) float32 of length 1, without a copy of those that are; 0 stays 0.

    Raises Fault, naming the row, where a number is not finite.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        raise Fault(f"{len(bad)} of {len(vectors)} vectors are not finite, the first in row {bad[0]}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def exact(vectors: Array, asked: Array, most: int, mask: Array | None = None) -> Nearest:
    """The `most` nearest of (N, D) float32 vectors to each of (Q, D) asked about, every one looked at.

    vectors: of length 1; on disk (a memory map) as well as in memory, a BLOCK is read at a time.
    mask: (N,) bool; the others are not looked at.  Of equal ones the first comes first, up to what float32 rounds.
    """
    parts = [_exact(vectors, asked[i : i + ASKED], most, mask) for i in range(0, max(1, len(asked)), ASKED)]
    return Nearest(np.concatenate([part.scores for part in parts]), np.concatenate([part.rows for part in parts]))


def _exact(vectors: Array, asked: Array, most: int, mask: Array | None) -> Nearest:
    """By blocks, each block's candidates set against the best so far."""
    asked, vectors = np.ascontiguousarray(asked, np.float32), np.asarray(vectors)
    best = np.full((len(asked), most), -np.inf, np.float32)
    rows = np.full((len(asked), most), -1, np.int64)
    few = len(asked) <= FEW
    size = max(BLOCK, SCORES // max(1, len(asked)))  # the fewer asked, the larger: threads wait for each other less
    for places, block in _blocks(vectors, mask, size if mask is None else min(size, 8 * BLOCK)):  # a mask's are copied
        who, where, scores = _one_by_one(asked, block, most) if few else _at_once(asked, block, best, rows)
        _merge(best, rows, who, scores, places[where])
    return Nearest(best, rows)


def _one_by_one(asked: Array, block: Array, most: int) -> tuple[Array, Array, Array]:
    """(who asked, place in the block, score) of a block's candidates, for FEW asked about: by faiss.

    There the vectors' way from memory takes the time, and its loop over them comes nearest to that.
    """
    scores, places = faiss.knn(asked, block, min(most, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
    return np.repeat(np.arange(len(asked)), scores.shape[1]), places.ravel(), scores.ravel()


def _at_once(asked: Array, block: Array, best: Array, rows: Array) -> tuple[Array, Array, Array]:
    """The same by one matrix product, of which what is no better than the worst of the best so far is never sorted.

    faiss's flat index takes two to ten times as long for 10 to 100 asked about, and a little longer for 1,000
    (docs/benchmarks.md).
    """
    scores = asked @ block.T
    most = best.shape[1]
    if rows[:, -1:].max(initial=-1) < 0:  # nothing yet, so nearly all of them are better
        few = min(most, scores.shape[1])
        found = np.argpartition(scores, scores.shape[1] - few, axis=1)[:, scores.shape[1] - few :]
        found.sort(axis=1)  # of equals the first
        who, where = np.repeat(np.arange(len(asked)), few), found.ravel()
    else:
        who, where = np.divmod(np.flatnonzero(scores > best[:, -1:]), scores.shape[1])
    return who, where, scores[who, where]


def _merge(best: Array, rows: Array, who: Array, scores: Array, places: Array) -> None:
    """Put further candidates, sorted by who asked, among the best so far."""
    if not len(who):
        return
    first = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    count = np.diff(np.r_[first, len(who)])
    asked, most = who[first], best.shape[1]
    wide = (len(asked), most + int(count.max()))
    values, found = np.full(wide, -np.inf, np.float32), np.full(wide, -1, np.int64)
    values[:, :most], found[:, :most] = best[asked], rows[asked]
    at = np.repeat(np.arange(len(asked)), count), most + np.arange(len(who)) - np.repeat(first, count)
    values[at], found[at] = scores, places
    order = np.argsort(-values, axis=1, kind="stable")[:, :most]
    best[asked], rows[asked] = np.take_along_axis(values, order, 1), np.take_along_axis(found, order, 1)


def _blocks(vectors: Array, mask: Array | None, size: int) -> Iterator[tuple[Array, Array]]:
    """(places (B,) int64, vectors (B, D)) of those that the mask lets in, so many at a time."""
    if mask is None:
        for start in range(0, len(vectors), size):
            block = vectors[start : start + size]
            yield np.arange(start, start + len(block)), block
        return
    places = np.flatnonzero(mask)
    for start in range(0, len(places), size):
        chosen = places[start : start + size]
        whole = chosen[-1] - chosen[0] + 1 == len(chosen)
        yield chosen, vectors[chosen[0] : chosen[-1] + 1] if whole else vectors[chosen]
