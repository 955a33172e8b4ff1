"""Small sources and datasets on disk. A reader opens no picture, so that any bytes will do for one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset

Lay = Callable[[Mapping[str, object]], Path]


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Lays out a source: paths to text, bytes or JSON; a path that ends in `/` is an empty folder."""

    def write(files: Mapping[str, object]) -> Path:
        root = tmp_path / "source"
        root.mkdir(exist_ok=True)
        for path, content in files.items():
            if path.endswith("/"):
                (root / path).mkdir(parents=True)
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                (root / path).write_bytes(content)
            else:
                text = content if isinstance(content, str) else json.dumps(content)
                (root / path).write_text(text, encoding="utf-8")
        return root

    return write


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Dataset]:
    """A dataset on disk of these annotations; each picture's bytes are its name."""

    def build(*annotations: Annotation, task: str = "detection", concepts: tuple[str, ...] = ()) -> Dataset:
        folder = tmp_path / "data" / "things"
        for entry in annotations:
            path = folder / "images" / entry.image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.image.encode())
        used = {name for entry in annotations for name in (*entry.concepts, *entry.box_concepts)}
        exclusive = task == "classification" and all(len(entry.concepts) == 1 for entry in annotations)
        sort = tuple(sorted(annotations, key=lambda entry: entry.image))
        return Dataset("things", folder, task, exclusive, concepts or tuple(sorted(used)), sort)  # type: ignore[arg-type]

    return build
