"""What prefect.yaml deploys: done again when something in it changed. `python -m tasks.deployments` does it."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault
from tasks.addresses import shown
from tasks.files import write
from tasks.lost import POOL
from tasks.parsed import parsed
from tasks.workspace import root, settle

# What a deployment's form, schedule and entry point are made from.
SOURCES = ("prefect.yaml", "flows/*.py", "apps/*.yaml", "models/parameters.py", "models/catalog.py")


def add_deployment(app: str, cron: str) -> None:
    """Append the nightly `pipeline` of an app to prefect.yaml, comments and all else as they are.

    Nothing happens when it is there already. The next `sightline up` deploys it. Raises Fault when the file
    is not YAML, or does not end with its `deployments:`.
    """
    path = root() / "prefect.yaml"
    text = _text(path) if path.exists() else "deployments:\n"
    name = f"pipeline-{app}"
    entry = ENTRY.format(name=name, app=app, cron=cron)
    try:
        if name in _entries(text):
            return
        longer = text.rstrip("\n") + "\n" + entry
        if name not in _entries(longer):
            raise ValueError("`deployments:` is not its last key")
    except ValueError as error:
        raise Fault(f"{path}: {name} cannot be added ({error}). Add it by hand:\n{entry}") from None
    write(path, longer)


def follow_apps() -> tuple[str, ...]:
    """Make prefect.yaml say what the apps say: a night for each, at the app's `schedule`. Returns what it did.

    An app whose file is not in order is left as it is; the night of one whose file is gone goes too.
    """
    from tasks.app import apps, read_app

    path = root() / "prefect.yaml"
    if not path.exists():
        return ()
    done = []
    for name in apps():
        try:
            cron = read_app(name).schedule
            add_deployment(name, cron)
            if _rewrite(path, name, cron):
                done.append(f"{name} runs at {cron} now")
        except Fault as fault:
            done.append(f"{name} is left as it is: {fault}")
    for name in sorted(_nights() - set(apps())):
        try:
            if _rewrite(path, name):
                done.append(f"{name} runs no more: there is no apps/{name}.yaml")
        except Fault as fault:
            done.append(f"there is no apps/{name}.yaml, but {fault}")
    return tuple(done)


def _rewrite(path: Path, app: str, cron: str = "") -> bool:
    """Give an app's entry this time, or without one take it out; all else as it is. Whether that changed the file.

    Raises Fault, and leaves the file alone, where the entry is written in a way that this cannot change.
    """
    text, name = _text(path), f"pipeline-{app}"
    # The line with the dash, and those that stand further to the right, whatever is empty between them.
    found = re.search(rf"^( *)- name: {re.escape(name)}\n(?:\n*\1 +\S.*(?:\n|\Z))*", text, re.MULTILINE)
    after = text
    if found is not None:
        entry = re.sub(r"""(cron: *)(["'])[^"']*\2""", rf'\g<1>"{cron}"', found[0]) if cron else ""
        after = text[: found.start()] + entry + text[found.end() :]
    wanted = _entries(text)
    night = wanted.pop(name)
    if cron:
        wanted[name] = _timed(night, cron)
    try:
        same = _entries(after) == wanted
    except ValueError:  # others refer to an anchor in it
        same = False
    if not same:
        what = f"set its cron to {cron!r}" if cron else "take it out"
        raise Fault(f"{path}: {name} is written so that it cannot be changed alone, {what} by hand")
    if after != text:
        write(path, after)
    return after != text


def _timed(entry: Any, cron: str) -> Any:
    """The same, at this time."""
    if isinstance(entry, dict):
        return {key: cron if key == "cron" else _timed(value, cron) for key, value in entry.items()}
    return [_timed(value, cron) for value in entry] if isinstance(entry, list) else entry


def _nights() -> set[str]:
    """The apps that prefect.yaml has a night for, as `add_deployment` writes it; none where it cannot be read."""
    found: set[str] = set()
    try:
        entries = _entries(_text(root() / "prefect.yaml"))
    except (Fault, ValueError):
        return found
    for name, entry in entries.items():
        app = name.removeprefix("pipeline-")
        ours = {"entrypoint": "flows.pipeline.pipeline", "parameters": {"app": app}, "tags": [app]}
        if name != app and ours.items() <= {key: entry.get(key) for key in ours}.items():
            found.add(app)
    return found


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
    digest, nights = _digest(), _nights()
    known = nights | set(_deployed(api).get("nights", ()))
    _remember(api, "", known)  # before they are there: who is killed on the way forgets none
    _make_pool()
    if _named():  # Prefect calls an empty list a fault
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = subprocess.run(command, cwd=root(), check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
    _withdraw(known - nights)
    _remember(api, digest, nights)


def _named() -> bool:
    """Whether prefect.yaml names anything. Raises Fault when it cannot be read."""
    path = root() / "prefect.yaml"
    try:
        return bool(_entries(_text(path)))
    except ValueError as error:
        raise Fault(f"{path}: {error}") from None


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


def _text(path: Path) -> str:
    if not path.is_file():
        raise Fault(f"{path}: no file, but a folder or something else")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Fault(f"{path}: not text in UTF-8") from None


def _entries(text: str) -> dict[str, dict[str, Any]]:
    """The deployments by name. Raises ValueError."""
    content = parsed(text) or {}
    if not isinstance(content, dict):
        raise ValueError("not a mapping")
    entries = content.get("deployments") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("`deployments:` is not a list of mappings")
    return {str(entry.get("name", "")): entry for entry in entries}


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


def _remember(api: str, digest: str, nights: set[str]) -> None:
    now = {shown(api): {"digest": digest, "nights": sorted(nights)}}
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


# In quotes: `2024`, `on` and `null` are good names of apps.
ENTRY = """\
  - name: {name}
    entrypoint: flows.pipeline.pipeline
    parameters: {{app: "{app}"}}
    schedules: [{{cron: "{cron}", timezone: UTC}}]
    concurrency_limit: {{limit: 1, collision_strategy: CANCEL_NEW}}
    tags: ["{app}"]
    work_pool: {{name: sightline}}
"""


if __name__ == "__main__":
    try:
        main()
    except Fault as fault:
        sys.exit(str(fault))
