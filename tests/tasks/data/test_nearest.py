"""The nearest vectors are those that every pair says; a graph finds nearly all of them; a mask lets in no other."""

from __future__ import annotations

import numpy as np
import pytest

from models.runtime.faults import Fault
from tasks.data import graph, nearest, twins
from tasks.data.graph import Graph
from tasks.data.nearest import exact, unit
from tasks.data.twins import alike


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks so small that every search goes through several."""
    for name, size in (("BLOCK", 64), ("ASKED", 16), ("SCORES", 256)):
        monkeypatch.setattr(nearest, name, size)
    monkeypatch.setattr(graph, "ASKED", 32)
    for name, size in (("BLOCK", 64), ("ROWS", 32), ("EDGES", 20)):
        monkeypatch.setattr(twins, name, size)


def cloud(count: int, size: int = 24, seed: int = 0) -> np.ndarray:
    """Vectors of six directions and a little of all others."""
    drawn = np.random.default_rng(seed)
    flat = drawn.standard_normal((count, 6)) @ np.random.default_rng(99).standard_normal((6, size))
    return unit(flat + 0.1 * drawn.standard_normal((count, size)))


def by_hand(vectors, asked, most, mask=None) -> tuple[np.ndarray, np.ndarray]:
    scores = asked.astype(float) @ vectors.astype(float).T
    if mask is not None:
        scores[:, ~mask] = -np.inf
    order = np.argsort(-scores, axis=1)[:, :most]
    return np.take_along_axis(scores, order, 1), order


def masks(count: int) -> list[np.ndarray | None]:
    drawn = np.random.default_rng(3)
    return [None, drawn.random(count) < 0.5, drawn.random(count) < 0.05, np.arange(count) >= count - 70]


@pytest.mark.parametrize("count", [1, 3, 4, 40])  # by faiss, and by a matrix product
@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("most", [1, 10, 200])
def test_exact_is_what_every_pair_says(which, most, count):
    vectors, asked = cloud(500), cloud(count, seed=1)
    mask = masks(500)[which]
    found, (scores, rows) = exact(vectors, asked, most, mask), by_hand(vectors, asked, most, mask)
    there = np.isfinite(scores)
    assert np.allclose(found.scores[there], scores[there], atol=1e-6)
    assert np.array_equal(found.rows[there], rows[there])
    assert (found.rows[~there] == -1).all() and np.isneginf(found.scores[~there]).all()


def test_more_than_there_are_and_none_at_all():
    vectors = cloud(5)
    assert exact(vectors, vectors[:1], 8).rows[0, 5:].tolist() == [-1] * 3
    assert exact(vectors, vectors[:1], 3, np.zeros(5, bool)).rows.tolist() == [[-1, -1, -1]]
    assert exact(vectors, vectors[:0], 3).rows.shape == (0, 3)


def test_vectors_are_searched_where_they_lie_on_the_disk(tmp_path):
    vectors = cloud(300)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert np.array_equal(exact(mapped, vectors[:7], 5).rows, exact(vectors, vectors[:7], 5).rows)


def test_unit_vectors_have_length_1_and_nothing_stays_nothing():
    made = unit(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]]))
    assert made.dtype == np.float32
    assert np.allclose(made, [[0.6, 0.8], [0, 0], [1, 0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named(bad):
    vectors = cloud(9)
    vectors[4, 2] = bad
    with pytest.raises(Fault, match=r"1 of 9 vectors are not finite, the first in row 4"):
        unit(vectors)


@pytest.fixture(scope="module")
def made():
    """A graph of 3,000 vectors, and these."""
    vectors = cloud(3000)
    walked = Graph.new(vectors)
    walked.add(vectors)
    return walked, vectors


def recall(found, rows) -> float:
    return float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found.tolist(), rows.tolist(), strict=True)]))


def test_a_graph_is_tuned_until_it_finds_nearly_all(made):
    walked, vectors = made
    assert walked.tune(vectors, cloud(60, seed=8)) >= graph.RIGHT
    asked = cloud(70, seed=2)
    found = walked.nearest(vectors, asked, 10)
    scores, rows = by_hand(vectors, asked, 10)
    assert recall(found.rows, rows) >= 0.99
    assert np.allclose(found.scores[:, 0], scores[:, 0], atol=1e-6)  # of the whole vectors, not of the graph's
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_of_copies_any_counts_as_found():
    vectors = cloud(1000)
    vectors[::10] = vectors[0]
    walked = Graph.new(vectors)
    walked.add(vectors)
    assert walked.tune(vectors, vectors[:50]) >= graph.RIGHT


def test_a_graph_that_cannot_find_them_says_so(made, monkeypatch):
    walked, vectors = made
    monkeypatch.setattr(graph, "WALKS", (1,))

    def next_nearest(self, vectors, asked, most):
        found = exact(vectors, asked, 2 * most)
        return nearest.Nearest(found.scores[:, most:], found.rows[:, most:])

    monkeypatch.setattr(Graph, "nearest", next_nearest)
    assert walked.tune(vectors, cloud(60, seed=8)) == 0


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_a_graph_ranks_none_that_the_mask_leaves_out(made, share):
    walked, vectors = made
    mask, asked = np.random.default_rng(4).random(len(vectors)) < share, cloud(20, seed=5)
    found = walked.nearest(vectors, asked, 10, mask)
    assert mask[found.rows[found.rows >= 0]].all()
    assert recall(found.rows, by_hand(vectors, asked, 10, mask)[1]) >= 0.98


def test_a_graph_has_no_more_than_the_mask_lets_in(made):
    walked, vectors = made
    found = walked.nearest(vectors, cloud(2, seed=7), 10, np.arange(len(vectors)) % 1000 == 5)
    assert [sorted(row) for row in found.rows[:, :3].tolist()] == [[5, 1005, 2005]] * 2
    assert (found.rows[:, 3:] == -1).all() and np.isneginf(found.scores[:, 3:]).all()


def test_a_graph_written_and_read_answers_the_same_and_takes_more(made, tmp_path):
    walked, vectors = made
    walked.write(tmp_path / "graph.faiss")
    again = Graph.read(tmp_path / "graph.faiss")
    assert (len(again), again.dimension, again.walk) == (3000, 24, walked.walk)
    asked = cloud(20, seed=6)
    assert np.array_equal(again.nearest(vectors, asked, 5).rows, walked.nearest(vectors, asked, 5).rows)
    more = Graph.read(tmp_path / "graph.faiss", changing=True)
    more.add(asked)
    found = more.nearest(np.concatenate([vectors, asked]), asked, 1)
    assert found.rows[:, 0].tolist() == list(range(3000, 3020))


def test_a_graph_of_float32_is_read_too(tmp_path):
    """As they were written at first."""
    import faiss

    vectors = cloud(300)
    index = faiss.IndexPreTransform(faiss.PCAMatrix(24, 24), faiss.IndexHNSWFlat(24, 32))
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "graph.faiss"))
    earlier = Graph.read(tmp_path / "graph.faiss", changing=True)
    earlier.add(cloud(20, seed=6))
    more, asked = np.concatenate([vectors, cloud(20, seed=6)]), cloud(30, seed=2)
    assert recall(earlier.nearest(more, asked, 5).rows, by_hand(more, asked, 5)[1]) >= 0.99


def test_a_graph_is_not_asked_with_the_vectors_of_another(made):
    walked, vectors = made
    with pytest.raises(ValueError, match=r"a graph of 3000 × 24 numbers is asked with \(2999, 24\) vectors"):
        walked.nearest(vectors[1:], vectors[:1], 5)


@pytest.mark.parametrize("content", [b"", b"nothing of a graph", b"IxPT" + b"\0" * 50])
def test_another_files_content_is_no_graph(tmp_path, content):
    (tmp_path / "graph.faiss").write_bytes(content)
    with pytest.raises(ValueError, match="not a graph"):
        Graph.read(tmp_path / "graph.faiss")


def test_an_index_of_another_kind_is_no_graph(tmp_path):
    import faiss

    faiss.write_index(faiss.IndexFlatIP(4), str(tmp_path / "graph.faiss"))
    with pytest.raises(ValueError, match="not a graph"):
        Graph.read(tmp_path / "graph.faiss")


def test_what_is_alike_is_in_one_group_through_others_too():
    steps = np.radians([0, 5, 10, 15, 90, 180, 184, 270])  # 5 degrees apart is .9962
    vectors = unit(np.stack([np.cos(steps), np.sin(steps)], axis=1))
    found = alike(vectors, 0.996)
    assert found.groups.tolist() == [0, 0, 0, 0, -1, 1, 1, -1]
    assert np.allclose(found.scores[[0, 3, 6]], np.cos(np.radians([5, 5, 4])), atol=1e-6)
    assert np.isneginf(found.scores[[4, 7]]).all()


def test_groups_are_those_of_every_pair():
    vectors = cloud(400, size=8)
    near = (vectors @ vectors.T >= 0.97) & ~np.eye(400, dtype=bool)
    found = alike(vectors, 0.97)
    assert np.array_equal(found.groups >= 0, near.any(axis=1))
    expected = np.where(near, vectors @ vectors.T, -np.inf).max(axis=1)
    there = np.isfinite(expected)
    assert 20 < there.sum() < 400
    assert np.allclose(found.scores[there], expected[there], atol=1e-6)
    left, right = np.nonzero(near)
    assert np.array_equal(found.groups[left], found.groups[right])
    first = [np.flatnonzero(found.groups == i)[0] for i in range(found.groups.max() + 1)]
    assert first == sorted(first)


def test_copies_are_alike_in_full_however_many():
    vectors = np.repeat(cloud(2), 200, axis=0)
    found = alike(vectors, 1.0)
    assert found.groups.tolist() == [0] * 200 + [1] * 200
    assert alike(vectors[:0], 0.9).groups.shape == (0,)
