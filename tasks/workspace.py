"""Where this clone keeps things, and the settings of other people's programs: one place for both."""

import os
from pathlib import Path

from models.runtime.faults import Fault

# No program we start may call home: telemetry, version checks, analytics.
SILENT = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a task queue for language models: three processes for nothing
    "SCARF_NO_ANALYTICS": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def root() -> Path:
    """The project's root: SIGHTLINE_ROOT if set (tests, other disks), else the folder of this clone."""
    given = os.environ.get("SIGHTLINE_ROOT")
    return Path(given).resolve() if given else Path(__file__).resolve().parents[1]


def state() -> Path:
    """Everything that a run leaves behind and git does not see: servers' databases, checkpoints, logs."""
    return root() / ".sightline"


def own_store() -> str:
    """Where MLflow keeps things unless the user names another place."""
    return f"sqlite:///{state() / 'mlflow.db'}"


def settle() -> None:
    """Point Prefect, MLflow and DVC into this workspace and silence them. What the user has set stays; empty is unset.

    Called before any of the three is imported: they read their settings once, at import.
    """
    _make_state()
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI"):
        if not os.environ.get(name, "").strip():
            os.environ.pop(name, None)
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(state() / "prefect"))
    _no_proxy("127.0.0.1", "localhost")
    os.environ.setdefault("MLFLOW_TRACKING_URI", own_store())


def _make_state() -> None:
    try:
        state().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        which = "SIGHTLINE_ROOT names" if os.environ.get("SIGHTLINE_ROOT") else "this is"
        raise Fault(f"{which} no folder that can be worked in: {str(root())[:200]!r} ({error.strerror})") from None


def _no_proxy(*hosts: str) -> None:
    """Where a proxy is set, calls to servers on this machine must not go through it."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(known + [host for host in hosts if host not in known])
