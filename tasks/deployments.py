"""What prefect.yaml deploys: done again when something in it changed. `python -m tasks.deployments` does it."""

import contextlib
import hashlib
import json
import os
import re
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
    _replace(path, longer)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def follow_apps() -> tuple[str, ...]:
    """Make prefect.yaml say what the apps say: a night for each, at the app's `schedule`. Returns what it did.

    An app whose file is not in order is left as it is.
    """
    from tasks.app import apps, read_app

    done = []
    path = root() / "prefect.yaml"
    for name in apps():
        try:
            cron = read_app(name).schedule
        except Fault as fault:
            done.append(f"{name} is left as it is: {fault}")
            continue
        add_deployment(name, cron)
        text = path.read_text(encoding="utf-8")
        entry = re.search(rf"^ *- name: pipeline-{name}$(.*?)(?=^ *- name: |\Z)", text, re.DOTALL | re.MULTILINE)
        if entry is None:
            continue  # written by hand in another style: the user's own
        at = re.sub(r"""(cron: *)(["'])[^"']*\2""", rf'\g<1>"{cron}"', entry[1])
        if at != entry[1]:
            _replace(path, text[: entry.start(1)] + at + text[entry.end(1) :])
            done.append(f"{name} runs at {cron} now")
    return tuple(done)


def changed(api: str) -> bool:
    """Whether something to deploy is not deployed as it is now to the Prefect server with this address."""
    return (root() / "prefect.yaml").exists() and _deployed(api) != _digest()


def main() -> None:
    """Make the work pool, and deploy everything in prefect.yaml if anything changed."""
    settle()
    api = os.environ["PREFECT_API_URL"]
    if not changed(api):
        return
    for sentence in follow_apps():
        sys.stdout.write(sentence + "\n")
    sys.stdout.flush()
    digest = _digest()
    _make_pool()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=root(), check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    _remember(api, digest)


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


def _deployed(api: str) -> str:
    try:
        return str(json.loads(_record().read_text(encoding="utf-8"))[api])
    except (OSError, ValueError, KeyError):
        return ""


def _remember(api: str, digest: str) -> None:
    _record().parent.mkdir(parents=True, exist_ok=True)
    beside = _record().with_name("deployed.new")
    beside.write_text(json.dumps({api: digest}), encoding="utf-8")
    beside.replace(_record())


def _digest() -> str:
    """Of the sources and of the place they are in."""
    code = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(f"{root()}\n".encode())
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
