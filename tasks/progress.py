"""How far a training is: read from the folder where it works, by whoever asks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.duration import duration
from tasks.workspace import state

FLOW_RUN = "flow_run.txt"  # in a training's folder: the id of the flow's run that is at it
PROGRESS = "progress.json"
PLACES = ("training/*", "sweeps/*/trials/*", "folds/*/*")  # where trainings work, below the state's folder


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a training under way.

    epoch, step: done, of so many.  seconds: so far.  remaining: seconds to go, None where nobody can tell yet.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds: float
    remaining: float | None = None

    def text(self) -> str:
        """`epoch 12 of 60, 3 min left`."""
        left = "" if self.remaining is None else f", {duration(self.remaining)} left"
        return f"epoch {self.epoch} of {self.epochs}{left}"

    def row(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def under_way() -> dict[str, Path]:
    """The folders of unfinished trainings by the id of the flow's run that works or worked at each."""
    found: dict[str, Path] = {}
    for pattern in PLACES:
        for path in sorted(state().glob(f"{pattern}/{FLOW_RUN}"), key=_changed):
            found[_text(path)] = path.parent  # of several trials of one sweep the one begun last
    found.pop("", None)
    return found


def progress(folder: Path) -> Progress | None:
    """How far the training in a folder is; None where it has not said so yet, or was killed while it did."""
    try:
        row = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        left = row.get("remaining")
        whole = {name: int(row[name]) for name in ("epoch", "epochs", "step", "steps")}
        return Progress(**whole, seconds=float(row["seconds"]), remaining=None if left is None else float(left))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:  # the training ended meanwhile
        return ""


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
