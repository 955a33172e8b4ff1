import json
import os
import subprocess
import sys

import pytest

from models.runtime.faults import Fault
from tasks.workspace import SILENT, settle

NAMES = """
import json, warnings, mlflow.environment_variables as mlflow
from prefect.settings import Settings
def names(model, prefix="PREFECT_"):
    for name, field in model.model_fields.items():
        inner, name = field.annotation, prefix + name.upper()
        yield from names(inner, name + "_") if hasattr(inner, "model_fields") else [name]
print(json.dumps([*names(Settings), *dir(mlflow)]))
"""


def test_every_setting_that_silences_prefect_or_mlflow_exists():
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True)
    known = json.loads(done.stdout)
    ours = {name for name in SILENT if name.startswith(("PREFECT_", "MLFLOW_"))}
    assert ours <= set(known)


def test_what_the_user_has_set_stays(monkeypatch, workspace):
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    monkeypatch.delenv("PREFECT_HOME")
    settle()
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "true"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://mlflow.example"
    assert os.environ["PREFECT_HOME"] == str(workspace / ".sightline" / "prefect")


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "intranet.example,localhost")
    monkeypatch.delenv("no_proxy", raising=False)
    settle()
    assert os.environ["NO_PROXY"] == "intranet.example,localhost,127.0.0.1"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"


def test_what_is_empty_is_not_set(monkeypatch, workspace):
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, " ")
    settle()
    assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_HOME"] == str(workspace / ".sightline" / "prefect")
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{workspace}/.sightline/mlflow.db"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file", "Not a directory"), ("/proc/nope", "No such file or directory"), ("n" * 300, "File name too long")],
)
def test_a_root_that_cannot_be_worked_in_is_named(monkeypatch, tmp_path, name, reason):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SIGHTLINE_ROOT", str(tmp_path / name))
    with pytest.raises(Fault, match=rf"SIGHTLINE_ROOT names no folder that can be worked in: '.*' \({reason}\)"):
        settle()
