"""Every test has a workspace of its own; none sees this clone's data, servers or settings."""

import os
import tempfile
from pathlib import Path

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
