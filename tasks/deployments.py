"""What prefect.yaml deploys: done again when something in it changed. `python -m tasks.deployments` does it."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault
from tasks.addresses import shown
from tasks.files import write
from tasks.lost import POOL
from tasks.nights import follow_apps, nights, to_deploy
from tasks.workspace import root, settle

# What a deployment's form, schedule and entry point are made from.
SOURCES = ("prefect.yaml", "flows/*.py", "apps/*.yaml", "models/parameters.py", "models/catalog.py")


def changed(api: str) -> bool:
    """Whether something to deploy is not deployed as it is now to the Prefect server with this address."""
    return (root() / "prefect.yaml").exists() and _deployed(api).get("digest") != _digest()


def main() -> None:
    """Make the work pool, and deploy everything in prefect.yaml if anything changed."""
    settle()
    api = os.environ["PREFECT_API_URL"]
    if not changed(api):
        return
    for sentence in follow_apps():
        sys.stdout.write(sentence + "\n")
    sys.stdout.flush()
    digest, now = _digest(), nights()
    known = now | set(_deployed(api).get("nights", ()))
    _remember(api, "", known)  # before they are there: who is killed on the way forgets none
    _make_pool()
    if to_deploy():  # Prefect calls an empty list a fault
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = subprocess.run(command, cwd=root(), check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
    _withdraw(known - now)
    _remember(api, digest, now)


def _withdraw(apps: set[str]) -> None:
    """Delete the nights that this workspace deployed and that prefect.yaml no longer names, planned runs included."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for app in sorted(apps):
            with contextlib.suppress(ObjectNotFound):
                client.delete_deployment(client.read_deployment_by_name(f"pipeline/pipeline-{app}").id)
                sys.stdout.write(f"deleted the deployment pipeline-{app}\n")


def _make_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _record() -> Path:
    return Path(os.environ["PREFECT_HOME"]) / "deployed.json"  # beside the database: gone when that is


def _deployed(api: str) -> dict[str, Any]:
    """What was deployed last to this server: `digest` of the sources, `nights` by app."""
    return dict(_all_deployed().get(shown(api), {}))


def _all_deployed() -> dict[str, dict[str, Any]]:
    """By the server's address."""
    try:
        found = dict(json.loads(_record().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
    return {api: told for api, told in found.items() if isinstance(told, dict)}


def _remember(api: str, digest: str, apps: set[str]) -> None:
    now = {shown(api): {"digest": digest, "nights": sorted(apps)}}
    write(_record(), json.dumps(_all_deployed() | now))


def _digest() -> str:
    """Of the sources and of the place they are in."""
    code = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(f"{root()}\n".encode())
    for folder in dict.fromkeys((root(), code)):
        for pattern in SOURCES:
            for path in filter(Path.is_file, sorted(folder.glob(pattern))):
                digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    try:
        main()
    except Fault as fault:
        sys.exit(str(fault))
