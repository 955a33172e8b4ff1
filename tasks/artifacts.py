"""The files of a version: found or brought here, as they were registered, or a Fault that says whose is not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from models.runtime.card import Card
from models.runtime.faults import Fault
from tasks import pyfunc
from tasks.registry import Version, client
from tasks.workspace import state

AGAIN = "Bring its files back from a backup; or delete this version in MLflow, and train it again."


def artifacts(version: Version) -> Path:
    """The folder with a version's card, weights, runtime and training images, on this disk.

    From a server elsewhere it is brought here once. Raises Fault where there is none: deleted, or not made here.
    """
    if version.folder:
        return Path(version.folder)
    try:
        logged = client().get_logged_model(version.logged_model)
        return artifacts_at(f"{logged.artifact_location}/artifacts/version", _downloaded(version))
    except (MlflowException, OSError) as error:
        said = f"{version}: its files are not where the registry says ({getattr(error, 'message', error)})"
        silent = isinstance(error, ConnectionError | TimeoutError) or "Connection" in type(error).__name__
        raise Fault(f"{said}. {'Does its server answer? Try again.' if silent else AGAIN}") from None


@contextmanager
def files_of(version: Version) -> Iterator[Path]:
    """The folder of `artifacts`; what is wrong with a file in it becomes a Fault that says whose, and what to do."""
    folder = artifacts(version)
    try:
        yield folder
    except (OSError, ValueError, Fault) as error:
        if isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, OSError):
            raise  # its code stopped, which its files need not be the cause of
        said = str(error).removeprefix(f"{version}: ").rstrip(".")
        remedy = f"Remove {folder}: it is brought here anew." if folder == _downloaded(version) else AGAIN
        raise Fault(f"{version}: {said}. {remedy}") from None


def _downloaded(version: Version) -> Path:
    return state() / "downloads" / version.logged_model


def artifacts_at(where: str, folder: Path) -> Path:
    """The files at an address of MLflow's: where they lie if that is this disk, else brought into `folder`."""
    if ":/" not in where or where.startswith("file:"):
        return Path(mlflow.artifacts.download_artifacts(where))
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            brought = Path(mlflow.artifacts.download_artifacts(where, dst_path=beside))
            with contextlib.suppress(OSError):  # another process brought it first
                brought.rename(folder)
    return folder


def card(version: Version) -> Card:
    """What the version says of itself. Raises Fault for a workflow, which is no single model."""
    if version.type == "workflow":
        raise Fault(f"{version} is a workflow, not a model: `sightline workflow run {version} PICTURES` asks it.")
    with file_of(version, "card.json") as file:
        return Card.read(file)


def trained_on(version: Version) -> frozenset[str]:
    """sha256 of every image the version learned from or was picked by (train and val)."""
    with file_of(version, "trained_on.txt") as file:
        return frozenset(file.read_text(encoding="utf-8").split())


@contextmanager
def file_of(version: Version, name: str) -> Iterator[Path]:
    """One of a version's files, as it was registered."""
    with files_of(version) as folder:
        try:
            pyfunc.check(folder, name)
            yield folder / name
        except pyfunc.Fault as error:
            raise Fault(str(error)) from None
        except UnicodeError as error:
            raise Fault(f"{folder / name}: {error}") from None
