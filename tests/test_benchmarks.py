"""The benchmark's own plumbing; what it measures takes an hour."""

from __future__ import annotations

from pathlib import Path

from benchmarks import pipeline


def test_the_benchmark_finds_its_pictures_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["pipeline.py", "pictures", "--only", "bccd"])
    monkeypatch.setattr(pipeline, "sightline", lambda *words: ({}, 0))
    measured: list[Path] = []
    monkeypatch.setattr(pipeline, "measure", lambda name, source: measured.append(source) or {"set": name})
    pipeline.main()
    assert measured == [tmp_path / "pictures" / "bccd"]
