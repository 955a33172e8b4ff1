"""A dataset on disk: `data/<dataset>/{dataset.yaml, annotations.jsonl, images/…}`, opened and checked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.runtime.faults import Fault, choices, listed, short
from tasks.data.annotations import SPLITS, Annotation, sound
from tasks.parsed import parsed
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
            raise Fault(f"dataset {self.name}: there is no split {short(name)!r}. {choices(name, SPLITS)}")
        return tuple(entry for entry in self.annotations if entry.split == name)

    def path(self, annotation: Annotation) -> Path:
        """Where an annotation's picture lies."""
        return self.folder / "images" / annotation.image


def folder_of(name: str) -> Path:
    """Where the dataset of that name lies (or would): `data/<name>` below the project's root.

    Raises Fault for a name that cannot be a folder's, or would lie elsewhere.
    """
    good = bool(name) and name[0].isalnum() and all(c.isalnum() or c in "-_." for c in name)
    if not good or len(name) > 100 or len(name.encode()) > 200:  # bytes: `.<name>.new` has to be a file's name
        raise Fault(
            f"{short(name)!r} cannot name a dataset: letters, digits, '-', '_' and '.', a letter or digit first"
        )
    return root() / "data" / name


def named_dataset(name: str, version: str = "") -> Dataset:
    """The dataset of that name in `data/`. Raises Fault with the names there are when it is not on disk."""
    folder = folder_of(name)
    if not (folder / "dataset.yaml").is_file():
        known = datasets()
        raise Fault(
            f"there is no dataset {short(name)!r} on disk ({folder}). {choices(name, known)} "
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
    head = parse_head(_content(folder / "dataset.yaml"), folder / "dataset.yaml")
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
    return parse_annotations(_content(path), path)


def parse_annotations(text: str, path: Path) -> tuple[Annotation, ...]:
    """The annotations of a file's text, sorted by image. Raises Fault that names the line of `path` that is none."""
    annotations = [_annotation(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line]
    return tuple(sorted(annotations, key=lambda entry: entry.image))


def inside(path: str) -> bool:
    """Whether a `/`-separated path stays below the folder it starts from."""
    parts = path.split("/")
    named = any(part not in ("", ".") for part in parts)
    return named and not path.startswith("/") and ".." not in parts and "\0" not in path


def _content(path: Path) -> str:
    """A file's text. Raises Fault where it is none, or no file (one may wait for ever for what is no regular file)."""
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: not UTF-8 ({error}). {_again(path)}") from None
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror}). {_again(path)}") from None
    raise Fault(f"{path}: there is no such file, so {path.parent} is no dataset. {_again(path)}")


def _again(path: Path) -> str:
    """What to do about a file of a dataset that is broken."""
    return f"Ingest the dataset again, or `dvc checkout data/{path.parent.name}` where data.dvc names it."


def _annotation(path: Path, number: int, line: str) -> Annotation:
    try:
        entry = Annotation.parse(line)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else short(str(error), 300)
        raise Fault(f"{path}:{number}: not an annotation: {reason}. {_again(path)}") from None
    if not inside(entry.image):
        raise Fault(f"{path}:{number}: the image {short(entry.image)!r} lies outside the dataset's images/")
    return entry


def parse_head(content: str | bytes, path: Path) -> dict[str, Any]:
    """A dataset.yaml as {name, task, exclusive, concepts}, every value of the right kind. Raises Fault."""
    try:
        head = parsed(content)
    except ValueError as error:
        raise Fault(f"{path}: not YAML ({error}). {_again(path)}") from None
    if not isinstance(head, dict) or set(head) != set(KEYS):
        given = listed(head) if isinstance(head, dict) else short(head)
        raise Fault(f"{path}: must hold {', '.join(KEYS)}; it holds {given}. {_again(path)}")
    task, concepts = short(head["task"]), head["concepts"]
    if task not in TASKS:
        raise Fault(f"{path}: there is no task {task!r}. {choices(task, TASKS)}")
    if not isinstance(concepts, list) or not all(isinstance(name, str) and sound(name) for name in concepts):
        raise Fault(f"{path}: concepts must be a list of names, quoted where they look like numbers")
    twice = [name for name, count in Counter(concepts).items() if count > 1]
    if twice:
        raise Fault(f"{path}: the concept {short(twice[0])!r} is listed twice")
    if not isinstance(head["exclusive"], bool) or not isinstance(head["name"], str) or not sound(head["name"]):
        raise Fault(f"{path}: name must be a text and exclusive true or false")
    return head


def _known_concepts(path: Path, annotations: tuple[Annotation, ...], concepts: list[str]) -> None:
    known = set(concepts)
    for what, column in (("images", "concepts"), ("boxes", "box_concepts")):
        counts = Counter(name for entry in annotations for name in getattr(entry, column))
        strange = sorted(counts.keys() - known, key=lambda name: (-counts[name], name))
        if strange:
            raise Fault(
                f"{path}: {counts[strange[0]]} {what} name the concept {short(strange[0])!r}, "
                f"which is not in dataset.yaml. {choices(strange[0], concepts)}"
            )


def _unique_images(path: Path, annotations: tuple[Annotation, ...]) -> None:
    counts = Counter(entry.image for entry in annotations)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise Fault(f"{path}: the image {json.dumps(short(twice[0]), ensure_ascii=False)} has {counts[twice[0]]} lines")
