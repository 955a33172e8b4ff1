"""What a workflow writes and sends beside its answers: crops, labels, calls to other programs.

In a part it is noted; when all parts are answered the notes are joined, and only then anything is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault
from models.runtime.workflows.plan import Step
from models.runtime.workflows.running import Workflow
from tasks.data.hosts import parsed, permitted
from tasks.files import Rows, as_csv, free, linked, write
from tasks.inputs import Seen
from tasks.posts import post
from tasks.proposals import note_labels, write_labels
from tasks.workflows import Job

NOTES = "notes.jsonl"
ACTED = "acts"  # the folder of all that nodes write, in the output and in a part


class Acts:
    """The acts of one part: each node's notes and pictures in a folder of its own, below `acts/` in its place."""

    def __init__(self, place: Path, workflow: Workflow) -> None:
        self.place = place / ACTED
        self.steps = acting(workflow)
        self._held = ExitStack()
        self._files: dict[str, Any] = {}

    def __enter__(self) -> Acts:
        for step in self.steps:
            folder = self.place / step.node.id
            folder.mkdir(parents=True)
            self._files[step.node.id] = self._held.enter_context((folder / NOTES).open("w", encoding="utf-8"))
        return self

    def __exit__(self, *error: Any) -> None:
        self._held.__exit__(*error)

    def add(self, picture: Seen, answers: dict[str, Any]) -> None:
        """Note what is to be done about one picture."""
        for step in self.steps:
            note, _ = ACTS[step.node.operator]
            for row in note(step, picture, answers[step.node.id], self.place / step.node.id):
                self._files[step.node.id].write(json.dumps(row, ensure_ascii=False) + "\n")


def acting(workflow: Workflow) -> list[Step]:
    """The steps that somebody acts on."""
    return [step for step in workflow.plan.steps if step.node.operator in ACTS]


def check_allowed(workflow: Workflow, allow: Collection[str]) -> None:
    """Raises Fault where a node would call a host that was not allowed: before any work, not after it."""
    for step in acting(workflow):
        if step.node.operator == "webhook":
            try:
                permitted(parsed(step.operator.url), allow)  # type: ignore[union-attr]
            except Fault as fault:
                raise Fault(f"{step.node.id}: {fault}") from None


def finish(workflow: Workflow, job: Job, places: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Join what the parts noted: files in a folder for each node, calls sent. What each came to, by node."""
    return {
        step.node.id: ACTS[step.node.operator][1](
            step, job, [place / ACTED / step.node.id for place in places], folder / ACTED / step.node.id
        )
        for step in acting(workflow)
    }


def noted(places: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(place, note) of every part, in order."""
    for place in places:
        with (place / NOTES).open(encoding="utf-8") as file:
            yield from ((place, json.loads(text)) for text in file)


def _note_crops(step: Step, picture: Seen, views: Any, place: Path) -> Rows:
    """A file and a row for each crop."""
    rows = []
    for i, (view, row) in enumerate(zip(views.views, views.regions.rows(), strict=True)):
        target = free(place / "crops" / picture.named(f"-{i:03d}.{step.operator.format}", row["concept"]))  # type: ignore[union-attr]
        view.image.save(target, quality=95)
        rows.append({"crop": target.relative_to(place / "crops").as_posix(), **picture.where(), **row})
    return rows


def _write_crops(step: Step, job: Job, places: Sequence[Path], target: Path) -> dict[str, Any]:
    """Every crop below a folder of its concept, and `crops.csv`: which picture and box each is from."""
    rows = []
    for place, row in noted(places):
        to = free(target / "crops" / row["crop"])
        linked(place / "crops" / row["crop"], to)
        x0, y0, x1, y1 = row.pop("box")
        rows.append(row | {"crop": to.relative_to(target).as_posix(), "x0": x0, "y0": y0, "x1": x1, "y1": y1})
    write(target / "crops.csv", as_csv(rows))
    return {"crops": len(rows), "folder": str(target)}


def _note_post(step: Step, picture: Seen, answer: Any, place: Path) -> Rows:
    row = {**picture.where(), **answer.line()}
    return [] if step.operator.only_found and not len(answer) else [row]  # type: ignore[union-attr]


def _post(step: Step, job: Job, places: Sequence[Path], target: Path) -> dict[str, Any]:
    """The calls: `{"workflow", "node", "pictures": [rows]}`, so many pictures each."""
    rows, calls = (row for _, row in noted(places)), 0
    while some := list(islice(rows, step.operator.rows)):  # type: ignore[union-attr]
        post(step.operator.url, {"workflow": job.name, "node": step.node.id, "pictures": some})  # type: ignore[union-attr]
        calls += 1
    return {"calls": calls, "url": step.operator.url}  # type: ignore[union-attr]


def _write_labels(step: Step, job: Job, places: Sequence[Path], target: Path) -> dict[str, Any]:
    return write_labels(noted(places), step.concepts, job.name, target)


Note = Callable[[Step, Seen, Any, Path], Rows]
Join = Callable[[Step, Job, Sequence[Path], Path], dict[str, Any]]
# For each operator that is acted on: what is noted of one picture, and what becomes of all notes.
ACTS: dict[str, tuple[Note, Join]] = {
    "write-crops": (_note_crops, _write_crops),
    "write-annotations": (note_labels, _write_labels),
    "webhook": (_note_post, _post),
}
