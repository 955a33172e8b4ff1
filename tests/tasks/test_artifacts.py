"""A version's files are those that were registered, wherever they lie; what is wrong with one says whose it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest

from models.runtime.faults import Fault
from tasks import artifacts as room
from tasks.artifacts import artifacts, card, trained_on
from tasks.registry import client, resolve
from tests.registered import pinned, planned, registered


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """A model of one version."""
    folder = tmp_path_factory.mktemp("artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        return registered(planned(pinned(folder / "shapes"))).name


def test_what_it_was_trained_on_is_known(name):
    version = resolve(f"{name}/1")
    assert trained_on(version) == {f"{number:064d}" for number in range(12)}
    assert (artifacts(version) / "card.json").is_file()


@pytest.mark.parametrize(("look", "file"), [(card, "card.json"), (trained_on, "trained_on.txt")])
@pytest.mark.parametrize("harm", ["gone", "flipped", "unknown", "gone before sums", "unknown before sums"])
def test_a_damaged_file_is_named_with_its_version(name, monkeypatch, tmp_path, look, file, harm):
    version = resolve(f"{name}/1")
    folder = Path(shutil.copytree(artifacts(version), tmp_path / "version"))
    monkeypatch.setattr(room, "artifacts", lambda version: folder)
    path = folder / file
    changed = path.read_bytes().replace(b"mean", b"men ").replace(b"00", b"\xff0", 1)
    path.unlink() if harm.startswith("gone") else path.write_bytes(changed)
    if harm.endswith("before sums"):
        (folder / "SHA256SUMS").unlink()
    with pytest.raises(
        Fault, match=rf"^{version}: .*{file}.*\. Bring its files back from a backup; or delete this ver"
    ):
        look(version)


def test_artifacts_that_are_gone_are_a_fault(name, monkeypatch):
    version = resolve(f"{name}/1")
    folder = artifacts(version)
    with (
        moved(folder),
        pytest.raises(Fault, match=rf"^{version}: its files are not where the registry says \(.*\. Bring"),
    ):
        card(version)


@contextmanager
def moved(folder: Path) -> Iterator[None]:
    """A folder is elsewhere for a moment."""
    elsewhere = folder.rename(folder.with_name("moved"))
    yield
    elsewhere.rename(folder)


class Elsewhere:
    """A logged model on a server."""

    artifact_location = "mlflow-artifacts:/7/models/m-1"


def test_artifacts_of_a_server_elsewhere_are_kept_in_the_workspace(name, monkeypatch, workspace):
    version = resolve(f"{name}/1")
    asked, downloaded, here = [], artifacts(version), workspace / ".sightline/downloads" / version.logged_model

    def download(where, dst_path):
        asked.append(where)
        return str(shutil.copytree(downloaded, Path(dst_path) / "version"))

    monkeypatch.setattr(type(client()), "get_logged_model", lambda self, given: Elsewhere())
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", download)
    for _ in range(2):
        assert artifacts(version) == here
    assert asked == ["mlflow-artifacts:/7/models/m-1/artifacts/version"]
    assert (here / "card.json").is_file()
    assert list(here.parent.iterdir()) == [here]
    (here / "card.json").write_text("{")
    with pytest.raises(Fault, match=r"card\.json: damaged.*\. Remove .*/downloads/m-.*: it is brought here anew\."):
        card(version)
