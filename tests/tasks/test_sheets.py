"""Sheets of neighbours and of clusters: the right pictures in the right frames."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tasks.groups import CELL, cluster_sheets
from tasks.metrics.retrieval import retrieval
from tasks.neighbours import neighbour_sheets
from tasks.sheets import GAP, LETTERS
from tasks.worst import RIGHT, WRONG
from tests.drawn import shapes

HEAD = 2 * GAP + LETTERS


def near(path, place: int, tint: str, row: int = 0) -> bool:
    """Whether the cell at that place of the first row has a frame of that colour."""
    with Image.open(path) as sheet:
        x, y = GAP + place * (CELL + GAP) + 2, HEAD + CELL // 2
        found = np.array(sheet.convert("RGB").getpixel((x, y)), int)
    wanted = np.array([int(tint[i : i + 2], 16) for i in (1, 3, 5)])
    return bool(np.abs(found - wanted).max() < 30)


def test_right_neighbours_are_framed_blue_and_wrong_ones_orange(tmp_path):
    dataset = shapes(tmp_path / "data", train=8, val=0)
    vectors = np.float32([[1, i / 10] if i % 2 else [i / 10 + 0.01, 1] for i in range(8)])
    vectors[1] = [0.3, 1]  # a wide one among the tall
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    report = retrieval(dataset.annotations, vectors)
    paths = neighbour_sheets(dataset, dataset.annotations, None, report, tmp_path / "out")
    assert [path.name for path in paths] == ["neighbours.jpg", "worst_errors.jpg"]
    worst = int(np.argmin(report.precision))
    expected = [RIGHT if right else WRONG for right in report.right[worst]]
    assert expected[0] == WRONG
    assert all(near(paths[1], 1 + i, tint) for i, tint in enumerate(expected))


def test_without_an_error_there_is_no_sheet_of_errors(tmp_path):
    dataset = shapes(tmp_path / "data", train=6, val=0)
    vectors = np.float32(np.eye(2)[[i % 2 for i in range(6)]])
    (tmp_path / "worst_errors.jpg").touch()
    paths = neighbour_sheets(dataset, dataset.annotations, None, retrieval(dataset.annotations, vectors), tmp_path)
    assert [path.name for path in paths] == ["neighbours.jpg"]
    assert not (tmp_path / "worst_errors.jpg").exists()


def test_each_cluster_has_its_sheet_and_its_odd_pictures_are_framed(tmp_path):
    dataset = shapes(tmp_path / "data", train=8, val=0)
    distances = np.full((8, 3), 1.0, np.float32)
    distances[range(8), [i % 2 for i in range(8)]] = np.linspace(0, 0.7, 8)
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "07.jpg").touch()  # of an earlier report
    paths = cluster_sheets(dataset, dataset.annotations, distances, tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert names == ["clusters.jpg", "clusters/00.jpg", "clusters/01.jpg"]
    assert not (tmp_path / "clusters" / "07.jpg").exists()
    assert [near(paths[1], place, WRONG) for place in range(4)] == [False, False, False, True]
