"""The nearest of very many vectors without a look at all of them: a graph of them is walked (HNSW, Malkov 2016).

The graph is of the vectors' REDUCED strongest directions, a byte for each, so that much of it stays in a processor's
cache; all that it finds are ranked anew by the vectors themselves. Measured on 100,000 × 512 (docs/benchmarks.md): as
often right as a graph of the whole vectors, in .38 of the time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from tasks.data.nearest import ASKED, Array, Nearest, exact

REDUCED = 96  # directions
SAMPLE = 50_000  # vectors that they are found on
LINKS, WIDTH = 32, 200  # of each vector to others; candidates while it is linked (faiss: M, efConstruction)
# Candidates while searching (efSearch), of which the first is taken that does.
WALKS = (48, 56, 64, 72, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024)
RIGHT = 0.995  # share of the ten nearest that the walk must find, of questions that it does not hold
QUESTIONS = 1000
ROUNDED = 1e-6  # by which two ways to the same float32 product may differ


class Graph:
    """A graph of (N, D) float32 vectors of length 1, which lie elsewhere: they are handed over with each question."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._reduce: Any = faiss.downcast_VectorTransform(index.chain.at(0))
        links: Any = faiss.downcast_index(index.index)
        self._links, _ = links, links.hnsw  # another kind of index has none

    @classmethod
    def new(cls, vectors: Array) -> Graph:
        """An empty one, for vectors like these."""
        size = vectors.shape[1]
        a_byte: Any = faiss.ScalarQuantizer.QT_8bit
        links: Any = faiss.IndexHNSWSQ(min(size, REDUCED, len(vectors)), a_byte, LINKS)
        links.hnsw.efConstruction = WIDTH
        index: Any = faiss.IndexPreTransform(faiss.PCAMatrix(size, links.d), links)
        chosen = np.random.default_rng(0).permutation(len(vectors))[:SAMPLE]
        index.train(np.ascontiguousarray(vectors[np.sort(chosen)]))
        return cls(index)

    @classmethod
    def read(cls, path: Path, changing: bool = False) -> Graph:
        """From a file, mapped rather than read unless it is changed afterwards. Raises ValueError for another's."""
        try:
            index = faiss.read_index(str(path), 0 if changing else faiss.IO_FLAG_MMAP_IFC)
            return cls(index)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise ValueError(f"not a graph ({str(error)[:200]})") from None

    def write(self, path: Path) -> None:
        """As a file."""
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def dimension(self) -> int:
        """D of the vectors that it is of."""
        return self._index.d

    @property
    def walk(self) -> int:
        """How many candidates a search follows."""
        return self._links.hnsw.efSearch

    def add(self, vectors: Array) -> None:
        """Further vectors, behind those it has."""
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def tune(self, vectors: Array, asked: Array, least: int = 0) -> float:
        """Follow as many candidates as find RIGHT of the ten nearest to `asked`; the share found is answered.

        One as near as the tenth counts as found: of copies, which are equally near, any will do.

        vectors: those it holds.  asked: others (to one that it holds a walk comes more easily: .992 seemed .996).
        least: so many are followed anyway.  With the most of WALKS the share may be less: then it is of no use.
        """
        most = min(10, len(vectors))
        tenth = exact(vectors, asked, most).scores[:, -1:] - ROUNDED
        share = 0.0
        for walk in WALKS:
            self._links.hnsw.efSearch = max(walk, least)
            share = float(np.mean(self.nearest(vectors, asked, most).scores >= tenth))
            if share >= RIGHT:
                break
        return share

    def nearest(self, vectors: Array, asked: Array, most: int, mask: Array | None = None) -> Nearest:
        """As `nearest.exact` answers, but for what the walk misses.

        mask: (N,) bool; the others are walked over and never ranked. The fewer it lets in, the more are followed.
        Raises ValueError for vectors that are not those of the graph.
        """
        if vectors.shape != (len(self), self.dimension):
            raise ValueError(f"a graph of {len(self)} × {self.dimension} numbers is asked with {vectors.shape} vectors")
        asked = np.ascontiguousarray(asked, np.float32)
        walk = max(self.walk, 2 * most)
        given: dict[str, Any] = {}
        if mask is not None:
            walk = min(len(self), round(walk * len(mask) / max(1, int(np.count_nonzero(mask)))))
            bits = np.packbits(mask, bitorder="little")
            given["sel"] = faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits))
        how = faiss.SearchParametersHNSW(efSearch=walk, **given)  # type: ignore[attr-defined]
        scores = np.full((len(asked), most), -np.inf, np.float32)
        rows = np.full((len(asked), most), -1, np.int64)
        for start in range(0, len(asked), ASKED):
            at = slice(start, start + ASKED)
            _, candidates = self._links.search(self._reduce.apply(asked[at]), walk, params=how)
            scores[at], rows[at] = _ranked(vectors, asked[at], candidates, most)
        return Nearest(scores, rows)


def _ranked(vectors: Array, asked: Array, candidates: Array, most: int) -> tuple[Array, Array]:
    """Of (Q, W) candidates (-1: none) of each vector asked about the `most` nearest by the vectors, and how near."""
    scores = np.empty(candidates.shape, np.float32)  # -inf where there is no candidate
    products: Any = faiss.fvec_inner_products_by_idx  # type: ignore[attr-defined]  # without a copy of the candidates
    given = [faiss.swig_ptr(array) for array in (scores, asked, vectors, candidates)]
    products(*given, vectors.shape[1], *candidates.shape)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :most]
    padding = ((0, 0), (0, most - order.shape[1]))
    return (
        np.pad(np.take_along_axis(scores, order, 1), padding, constant_values=-np.inf),
        np.pad(np.take_along_axis(candidates, order, 1), padding, constant_values=-1),
    )
