"""Every test has a workspace of its own; none sees this clone's data, servers or settings."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.processes import OWNER
from tasks.workspace import settle

# Prefect and MLflow read where they live once, at import: before any test module imports them.
_session = tempfile.TemporaryDirectory(prefix="sightline-tests-")
os.environ["SIGHTLINE_ROOT"] = _session.name
os.environ[OWNER] = str(os.getpid())  # no server outlives the tests, not even killed ones
for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "MLFLOW_TRACKING_URI", "DVC_SITE_CACHE_DIR"):
    os.environ.pop(name, None)
settle()
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project root. DVC is set up in it, without git, when something first needs it."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setenv("SIGHTLINE_ROOT", str(root))
    return root


@pytest.fixture(scope="session")
def champions(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A detector, a classifier and pictures (`tests.chained.pair`), made once for all tests: none changes them."""
    from tests.chained import pair  # torch and MLflow come in for tests that ask for it alone

    folder = tmp_path_factory.mktemp("champions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        return pair(folder)


@pytest.fixture
def sightline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Call the command in this process: (exit code, standard output, standard error)."""
    from flows.cli import main

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["sightline", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main()
        return int(done.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def answer(sightline: Callable[..., tuple[int, str, str]]) -> Callable[..., dict[str, Any]]:
    """The one JSON object that a command answers when all is well."""

    def call(*words: object) -> dict[str, Any]:
        code, out, err = sightline(*words, "--json")
        assert code == 0, err
        assert out.count("\n") == 1
        return json.loads(out)

    return call
