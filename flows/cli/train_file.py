"""A train.yaml, and what is said over it: `--set key=value`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from models.runtime.faults import Fault, choices
from tasks.parsed import parsed

KEYS = ("dataset", "name", "parameters")


def read_file(path: Path) -> dict[str, Any]:
    """A train.yaml. Raises Fault that says what is wrong with it."""
    try:
        content = parsed(path.read_bytes())
    except OSError as error:
        raise Fault(
            f"{path}: {(error.strerror or 'unreadable').lower()}. `sightline template show NAME > {path}` makes one."
        ) from None
    except ValueError as error:
        raise Fault(f"{path}: not YAML ({error})") from None
    if not isinstance(content, dict):
        raise Fault(f"{path}: a training is a mapping of {', '.join(KEYS)}")
    for key in content:
        if key not in KEYS:
            raise Fault(f"{path}: no such key {key!r}. {choices(str(key), KEYS)}")
    if not isinstance(content.get("parameters") or {}, dict):
        raise Fault(f"{path}: parameters: a mapping is wanted (template: …, epochs: …), got {content['parameters']!r}")
    return content


def whole(file: Path, dataset: str, wanted: dict[str, Any]) -> None:
    """Raises Fault when a file, with the options beside it, leaves out what no training can do without."""
    if not dataset:
        raise Fault(f"{file}: dataset is empty: fill it in, or add --dataset NAME")
    if "template" not in wanted:
        raise Fault(f"{file}: parameters has no template: fill it in, or add --template NAME")


def assignments(given: list[str]) -> dict[str, Any]:
    """`key=value` pairs, values read as YAML does. Raises BadParameter on anything else."""
    found = {}
    for pair in given:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"{pair!r}: write key=value", param_hint="--set")
        try:
            found[key.strip()] = parsed(value)
        except ValueError:
            raise typer.BadParameter(f"{pair!r}: the value is not YAML", param_hint="--set") from None
    return found
