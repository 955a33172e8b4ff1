"""A dataset on disk: `data/<dataset>/{dataset.yaml, annotations.jsonl, images/…}`, opened and checked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from models.runtime.faults import Fault, choices
from tasks.data.annotations import SPLITS, Annotation
from tasks.workspace import root

Task = Literal["classification", "detection"]
TASKS: tuple[Task, ...] = ("classification", "detection")
KEYS = ("name", "task", "exclusive", "concepts")  # of dataset.yaml, in this order


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images, concepts and annotations with a train/val/test split.

    task: what its labels are good for.  exclusive: each image has exactly one concept, so softmax fits.
    concepts: all names, in the order of dataset.yaml; an index into it is a label.
    annotations: sorted by image.  version: the dataset version they are, empty when nobody asked.
    """

    name: str
    folder: Path
    task: Task
    exclusive: bool
    concepts: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    version: str = ""

    def __len__(self) -> int:
        return len(self.annotations)

    def split(self, name: str) -> tuple[Annotation, ...]:
        """The annotations of one split, sorted by image. Raises Fault for an unknown split."""
        if name not in SPLITS:
            raise Fault(f"dataset {self.name}: there is no split {name!r}. {choices(name, SPLITS)}")
        return tuple(entry for entry in self.annotations if entry.split == name)

    def path(self, annotation: Annotation) -> Path:
        """Where an annotation's picture lies."""
        return self.folder / "images" / annotation.image


def folder_of(name: str) -> Path:
    """Where the dataset of that name lies (or would): `data/<name>` below the project's root.

    Raises Fault for a name that cannot be a folder's, or would lie elsewhere.
    """
    good = bool(name) and name[0].isalnum() and all(c.isalnum() or c in "-_." for c in name)
    if not good or len(name) > 100:
        raise Fault(f"{name!r} cannot name a dataset: letters, digits, '-', '_' and '.', a letter or digit first")
    return root() / "data" / name


def named_dataset(name: str, version: str = "") -> Dataset:
    """The dataset of that name in `data/`. Raises Fault with the names there are when it is not on disk."""
    folder = folder_of(name)
    if not (folder / "dataset.yaml").is_file():
        known = datasets()
        raise Fault(
            f"there is no dataset {name!r} on disk ({folder}). {choices(name, known)} "
            f"`sightline ingest SOURCE --dataset {name}` makes one; "
            f"`dvc pull` brings those that data.dvc names, where a remote holds them."
        )
    return open_dataset(folder, version)


def datasets() -> tuple[str, ...]:
    """The names of the datasets on disk, sorted."""
    found = (root() / "data").glob("*/dataset.yaml")
    return tuple(sorted(path.parent.name for path in found if not path.parent.name.startswith(".")))


def open_dataset(folder: Path, version: str = "") -> Dataset:
    """The dataset in a folder, its annotations checked against its concepts (the pictures are not read).

    version: what to call it; it is not checked here (tasks/data/version.py does).
    Raises Fault that says which file and line is wrong, and how.
    """
    head = _head(folder / "dataset.yaml")
    path = folder / "annotations.jsonl"
    annotations = read_annotations(path)
    _known_concepts(path, annotations, head["concepts"])
    _unique_images(path, annotations)
    return Dataset(
        name=head["name"],
        folder=folder,
        task=head["task"],
        exclusive=head["exclusive"],
        concepts=tuple(head["concepts"]),
        annotations=annotations,
        version=version,
    )


def read_annotations(path: Path) -> tuple[Annotation, ...]:
    """The annotations of a file, sorted by image. Raises Fault that names the line that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Fault(f"{path}: there is no such file. Ingest the dataset again.") from None
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: not UTF-8 ({error})") from None
    return parse_annotations(text, path)


def parse_annotations(text: str, path: Path) -> tuple[Annotation, ...]:
    """The annotations of a file's text, sorted by image. Raises Fault that names the line of `path` that is none."""
    annotations = [_annotation(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line]
    return tuple(sorted(annotations, key=lambda entry: entry.image))


def inside(path: str) -> bool:
    """Whether a `/`-separated path stays below the folder it starts from."""
    parts = PurePosixPath(path)
    return bool(parts.parts) and not parts.is_absolute() and ".." not in parts.parts and "\0" not in path


def _annotation(path: Path, number: int, line: str) -> Annotation:
    try:
        entry = Annotation.parse(line)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise Fault(f"{path}:{number}: not an annotation: {reason}") from None
    if not inside(entry.image):
        raise Fault(f"{path}:{number}: the image {entry.image!r} lies outside the dataset's images/")
    return entry


def _head(path: Path) -> dict[str, Any]:
    """dataset.yaml as {name, task, exclusive, concepts}, every value of the right kind."""
    try:
        head = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Fault(f"{path}: there is no such file, so {path.parent} is no dataset") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no date
        raise Fault(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(head, dict) or set(head) != set(KEYS):
        given = ", ".join(map(str, head)) if isinstance(head, dict) else repr(head)
        raise Fault(f"{path}: must hold {', '.join(KEYS)}; it holds {given}")
    if head["task"] not in TASKS:
        raise Fault(f"{path}: there is no task {head['task']!r}. {choices(str(head['task']), TASKS)}")
    concepts = head["concepts"]
    if not isinstance(concepts, list) or not all(isinstance(name, str) for name in concepts):
        raise Fault(f"{path}: concepts must be a list of names, quoted where they look like numbers")
    twice = [name for name, count in Counter(concepts).items() if count > 1]
    if twice:
        raise Fault(f"{path}: the concept {twice[0]!r} is listed twice")
    if not isinstance(head["exclusive"], bool) or not isinstance(head["name"], str):
        raise Fault(f"{path}: name must be a text and exclusive true or false")
    return head


def _known_concepts(path: Path, annotations: tuple[Annotation, ...], concepts: list[str]) -> None:
    known = set(concepts)
    for what, column in (("images", "concepts"), ("boxes", "box_concepts")):
        counts = Counter(name for entry in annotations for name in getattr(entry, column))
        strange = sorted(counts.keys() - known, key=lambda name: (-counts[name], name))
        if strange:
            listed = choices(strange[0], concepts).removeprefix("Known: ").partition(".")
            raise Fault(
                f"{path}: {counts[strange[0]]} {what} name the concept {strange[0]!r}, "
                f"which is not in dataset.yaml ({listed[0]}).{listed[2]}"
            )


def _unique_images(path: Path, annotations: tuple[Annotation, ...]) -> None:
    counts = Counter(entry.image for entry in annotations)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise Fault(f"{path}: the image {json.dumps(twice[0], ensure_ascii=False)} has {counts[twice[0]]} lines")
