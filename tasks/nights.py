"""The nights of the apps in prefect.yaml: added, moved and taken out, all else in the file as it is."""

import re
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault
from tasks.files import write
from tasks.parsed import parsed
from tasks.workspace import root

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
    for name in sorted(nights() - set(apps())):
        try:
            if _rewrite(path, name):
                done.append(f"{name} runs no more: there is no apps/{name}.yaml")
        except Fault as fault:
            done.append(f"there is no apps/{name}.yaml, but {fault}")
    return tuple(done)


def nights() -> set[str]:
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


def to_deploy() -> bool:
    """Whether prefect.yaml names anything to deploy. Raises Fault when it cannot be read."""
    path = root() / "prefect.yaml"
    try:
        return bool(_entries(_text(path)))
    except ValueError as error:
        raise Fault(f"{path}: {error}") from None


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
