"""What prefect.yaml deploys: done again when something in it changed. `python -m tasks.deployments` does it."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from models.runtime.faults import Fault
from tasks.background import POOL
from tasks.workspace import root, settle

# What a deployment's form, schedule and entry point are made from.
SOURCES = ("prefect.yaml", "flows/*.py", "apps/*.yaml", "models/parameters.py", "models/catalog.py")


def add_deployment(app: str, cron: str, timezone: str = "UTC") -> None:
    """Append the nightly `pipeline` of an app to prefect.yaml, comments and all else as they are.

    Nothing happens when it is there already. The next `sightline up` deploys it. Raises Fault when the file
    is not YAML, or does not end with its `deployments:`.
    """
    path = root() / "prefect.yaml"
    text = path.read_text(encoding="utf-8") if path.exists() else "deployments:\n"
    name = f"pipeline-{app}"
    entry = ENTRY.format(name=name, app=app, cron=cron, timezone=timezone)
    try:
        if name in _names(text):
            return
        longer = text.rstrip("\n") + "\n" + entry
        if name not in _names(longer):
            raise yaml.YAMLError("`deployments:` is not its last key")
    except yaml.YAMLError as error:
        raise Fault(f"{path}: {name} cannot be added ({error}). Add it by hand:\n{entry}") from None
    beside = path.with_name(".prefect.yaml.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(longer)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def changed(api: str) -> bool:
    """Whether something to deploy is not deployed as it is now to the Prefect server with this address."""
    return (root() / "prefect.yaml").exists() and _deployed() != _digest(api)


def main() -> None:
    """Make the work pool, and deploy everything in prefect.yaml if anything changed."""
    settle()
    api = os.environ["PREFECT_API_URL"]
    if not changed(api):
        return
    digest = _digest(api)
    _make_pool()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=root(), check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    beside = _record().with_name("deployed.new")
    beside.write_text(json.dumps({"digest": digest}), encoding="utf-8")
    beside.replace(_record())


def _make_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _names(text: str) -> set[str]:
    content = yaml.safe_load(text) or {}
    return {entry.get("name", "") for entry in content.get("deployments") or []}


def _record() -> Path:
    return Path(os.environ["PREFECT_HOME"]) / "deployed.json"  # beside the database: gone when that is


def _deployed() -> str:
    try:
        return str(json.loads(_record().read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError):
        return ""


def _digest(api: str) -> str:
    """Of the sources, of the place they are in, and of the server that knows them."""
    code = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(f"{root()}\n{api}\n".encode())
    for folder in dict.fromkeys((root(), code)):
        for pattern in SOURCES:
            for path in sorted(folder.glob(pattern)):
                digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


ENTRY = """\
  - name: {name}
    entrypoint: flows.pipeline.pipeline
    parameters: {{app: {app}}}
    schedules: [{{cron: "{cron}", timezone: {timezone}}}]
    concurrency_limit: {{limit: 1, collision_strategy: CANCEL_NEW}}
    tags: [{app}]
    work_pool: {{name: sightline}}
"""


if __name__ == "__main__":
    main()
