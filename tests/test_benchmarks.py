"""The benchmarks' own plumbing; what they measure takes an hour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import pipeline, reading
from models.runtime.predictions import Regions
from tasks.data.annotations import Annotation


def test_the_benchmark_finds_its_pictures_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["pipeline.py", "pictures", "--only", "bccd"])
    monkeypatch.setattr(pipeline, "sightline", lambda *words: ({}, 0))
    measured: list[Path] = []
    monkeypatch.setattr(pipeline, "measure", lambda name, source: measured.append(source) or {"set": name})
    pipeline.main()
    assert measured == [tmp_path / "pictures" / "bccd"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], (2, 0, 0, 0)),
        ([((0, 0, 10, 10), 0.9, 0)], (2, 1, 1, 1)),
        ([((0, 0, 10, 10), 0.9, 1)], (2, 1, 0, 1)),  # found, and read wrongly
        ([((0, 0, 10, 5), 0.9, 0)], (2, 1, 1, 1)),
        ([((0, 0, 10, 4.9), 0.9, 0)], (2, 0, 0, 1)),  # overlaps by less than half
        ([((0, 0, 10, 10), 0.8, 0), ((0, 0, 10, 10), 0.9, 1)], (2, 1, 0, 2)),  # the surer one has the box
        ([((0, 0, 10, 10), 0.8, 0), ((20, 0, 30, 10), 0.9, 1)], (2, 2, 2, 2)),
    ],
)
def test_a_box_is_read_by_one_region(found, expected):
    boxes, scores, labels = zip(*found, strict=True) if found else (np.zeros((0, 4)), (), ())
    regions = Regions(np.array(boxes, np.float64), np.array(scores, np.float32), np.array(labels, np.int64), ("3", "7"))
    columns = (((0, 0, 10, 10), (20, 0, 30, 10)), (100.0, 100.0), ("3", "7"), (False, False), (False, False))
    assert reading.counted(regions, Annotation("a.bmp", "", 40, 40, "test", (), *columns)) == expected
