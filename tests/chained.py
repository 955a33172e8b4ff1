"""What tests of workflows begin with: two champions, a graph of them as a file, and the lines that a run wrote."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import yaml

from tests.registered import champion, lively, numbers, pinned, planned


def pair(folder: Path) -> SimpleNamespace:
    """`detector`, which finds a lot, and `classifier`, both champions and untrained; `pictures`, a folder of 16."""
    scenes = pinned(folder / "scenes", task="detection")
    return SimpleNamespace(
        classifier=champion(planned(pinned(folder / "shapes"))),
        detector=champion(planned(scenes), lively),
        pictures=Path(scenes.folder) / "images",
    )


def nodes(champions: SimpleNamespace, **more: dict) -> list[dict]:
    """Find, crop, classify and count."""
    detector, classifier = (f"{each.name}@champion" for each in (champions.detector, champions.classifier))
    return [
        {"id": "find", "model": detector, "params": {"threshold": 0.0}, "inputs": ["image"]},
        {"id": "best", "operator": "top-k", "params": {"k": 3}, "inputs": ["find"]},
        {"id": "crops", "operator": "image-crop", "inputs": ["image", "best"]},
        {"id": "grade", "model": classifier, "inputs": ["crops"]},
        {"id": "count", "operator": "object-counter", "inputs": ["grade"]},
        *more.values(),
    ]


def written(path: Path, rows: list[dict], name: str = "") -> str:
    """The file of a workflow, under a name that no other test has if none is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"workflow": {"name": name or f"graded-{next(numbers)}", "nodes": rows}}))
    return str(path)


def lines(folder: Path) -> list[dict]:
    """What a run wrote into its folder, a picture each."""
    return [json.loads(text) for text in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
