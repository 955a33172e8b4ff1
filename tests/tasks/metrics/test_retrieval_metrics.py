"""Recall and MAP@R against a plain count, image by image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.runtime.faults import Fault
from tasks.data.annotations import Annotation
from tasks.metrics import retrieval as room
from tasks.metrics.compare import compare
from tasks.metrics.retrieval import CURVE, retrieval


def images(*concepts: tuple[str, ...]) -> list[Annotation]:
    return [Annotation(f"{i}.png", f"{i:064d}", 8, 8, "test", given) for i, given in enumerate(concepts)]


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def plainly(annotations, vectors):
    """(recall@1, @5, @10, MAP@R), counted one image at a time."""
    rows = []
    for i, one in enumerate(annotations):
        others = [j for j in range(len(vectors)) if j != i]
        others.sort(key=lambda j: (-float(vectors[i] @ vectors[j]), j))
        good = [bool(set(one.concepts) & set(annotations[j].concepts)) for j in others]
        r = sum(good)
        if r:
            precisions = [sum(good[: k + 1]) / (k + 1) * good[k] for k in range(r)]
            rows.append((any(good[:1]), any(good[:5]), any(good[:10]), sum(precisions) / r))
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("cells", [10, 4_000_000])
@pytest.mark.parametrize("several", [False, True])
def test_the_numbers_are_those_of_a_plain_count_in_blocks_of_any_size(monkeypatch, cells, several):
    monkeypatch.setattr(room, "CELLS", cells)
    drawn = np.random.default_rng(0)
    labels = [tuple({str(drawn.integers(6)) for _ in range(1 + several)}) for _ in range(40)]
    entries, vectors = images(*labels), unit(drawn.normal(size=(40, 4)))
    report = retrieval(entries, vectors)
    found = [report.summary[name] for name in ("recall_1", "recall_5", "recall_10", "map_r")]
    assert found == pytest.approx(plainly(entries, vectors))
    assert report.summary["recall_1_low"] <= report.summary["recall_1"] <= report.summary["recall_1_high"]
    assert report.recalls.shape == (CURVE,) and (np.diff(report.recalls) >= 0).all()


def test_map_at_r_of_musgraves_example():
    vectors = unit([[1, 0], [1, 0.1], [1, 0.2], [1, 0.3], [1, 0.4]])
    report = retrieval(images(("a",), ("a",), ("b",), ("a",), ("b",)), vectors)
    assert report.precision[0] == pytest.approx((1 + 0) / 2)  # of two right ones the first is found first


def test_who_is_nearest_and_whether_it_is_right():
    report = retrieval(images(("a",), ("b",), ("a",), ("b",)), unit([[1, 0], [1, 0.1], [1, -0.3], [0, 1]]))
    assert report.nearest[0].tolist() == [1, 2, 3, -1, -1]
    assert report.right[0].tolist() == [False, True, False, False, False]


def copied(entries: list[Annotation], copy: int, of: int) -> list[Annotation]:
    return [*entries[:copy], dataclasses.replace(entries[copy], sha256=entries[of].sha256), *entries[copy + 1 :]]


def test_copies_of_a_picture_take_no_part():
    entries = copied(images(("a",), ("a",), ("b",), ("a",)), 1, of=0)
    report = retrieval(entries, unit([[1, 0], [1, 0], [1, 0.1], [1, 0.2]]))
    assert report.asked.tolist() == [0, 3] and report.summary["gallery"] == 3
    assert report.nearest[0].tolist() == [2, 3, -1, -1, -1] and report.right[0].tolist() == [False, True, *[False] * 3]
    found = [report.summary[name] for name in ("recall_1", "recall_5", "recall_10", "map_r")]
    assert found == pytest.approx(plainly([entries[0], *entries[2:]], unit([[1, 0], [1, 0.1], [1, 0.2]])))
    assert report.notes == (
        "a single image has 'b': no other can be near it for that",
        "1 images are copies, byte for byte, of others and are left out",
    )


def test_a_concept_that_copies_alone_share_cannot_be_recalled():
    entries = copied(images(("a",), ("a",), ("b",), ("b",)), 1, of=0)
    report = retrieval(entries, unit(np.eye(4)))
    assert report.notes[0] == "a single image has 'a': no other can be near it for that"
    with pytest.raises(Fault, match="no two of the 2 images share a concept and are no copies of each other"):
        retrieval(entries[:2], unit(np.eye(2)))


def test_what_cannot_be_recalled_is_left_out_and_told():
    entries = images(("a",), ("a",), ("b",), (), ("a",))
    report = retrieval(entries, unit(np.eye(5)))
    assert report.images == 3 and report.summary["gallery"] == 4
    rows = {row["Concept"]: row for row in report.per_concept}
    assert rows["b"]["Total Labeled"] == 0 and np.isnan(rows["b"]["Recall@1"])
    assert "a single image has 'b'" in report.notes[0] and "1 images have no concept" in report.notes[1]
    alike = retrieval(images(("a",), ("a",)), unit(np.eye(2)))
    assert any("every image has 'a'" in note for note in alike.notes)


@pytest.mark.parametrize("concepts", [(("a",), ("b",)), ((), ()), (("a",),)])
def test_nothing_to_recall_is_a_fault(concepts):
    with pytest.raises(Fault, match="nothing to recall"):
        retrieval(images(*concepts), unit(np.ones((len(concepts), 2))))


def test_the_better_of_two_is_told_by_recall():
    entries = images(("a",), ("a",), ("b",), ("b",))
    good, bad = (
        retrieval(entries, unit(rows)) for rows in ([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [[1, 0], [0, 1]] * 2)
    )
    verdict = compare(bad, good)
    assert (verdict.metric, verdict.difference, verdict.low) == ("recall_1", 1, 1)
