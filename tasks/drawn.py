"""Answers drawn on the pictures they are about: a file a picture, or a video."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault
from models.runtime.operators.drawing import draw
from models.runtime.predictions import ours
from models.runtime.workflows.running import Workflow
from tasks.data.video import probe
from tasks.data.video_writer import Writer
from tasks.files import free
from tasks.inputs import Part, Seen
from tasks.workflows import Job

DRAWABLE = ("image", "regions", "frames", "concepts", "clusters")


def drawn_node(workflow: Workflow, job: Job) -> str:
    """The node that is drawn: the last that gives a picture or an answer that can be drawn on one.

    Raises Fault where there is none.
    """
    steps = [step for step in workflow.plan.steps if step.gives in DRAWABLE]
    if not steps:
        what = "vectors" if job.single else ", ".join(step.gives for step in workflow.plan.steps)
        raise Fault(f"{job.name} answers with {what}, of which nothing can be drawn. Leave out --draw.")
    return steps[-1].node.id


class Drawn:
    """What one part of the inputs looks like with its answers on it, below `drawn/` in its place.

    node: whose answers; empty: nothing is drawn.
    """

    def __init__(self, place: Path, node: str, part: Part) -> None:
        self.folder, self.node, self.part = place / "drawn", node, part
        self._held = ExitStack()
        self._video: Writer | None = None

    def __enter__(self) -> Drawn:
        return self

    def __exit__(self, *error: Any) -> None:
        self._held.__exit__(*error)

    def add(self, picture: Seen, answers: dict[str, Any]) -> None:
        """Draw one picture or frame."""
        if not self.node:
            return
        answer = ours(answers[self.node])
        if self.part.video:
            still = answer.image if answer.name == "image" else draw(picture.image, answer, enlarge=False)
            self._frame(still, picture.time_ms or 0.0)
        else:
            still = answer.image if answer.name == "image" else draw(picture.image, answer)
            still.save(free(self.folder / _shortened(picture.path, ".jpg")), quality=90)

    def _frame(self, still: Any, time_ms: float) -> None:
        if self._video is None:
            source = Path(self.part.paths[0])
            target = free(self.folder / _shortened(str(source), ".mp4"))
            width, height = still.size
            self._video = self._held.enter_context(Writer(target, width, height, probe(source).fps))
        self._video.write(still, time_ms)


def _shortened(path: str, suffix: str) -> Path:
    """Its name and the last two folders above it."""
    parts = [part for part in Path(path.partition("?")[0]).parts if part not in ("/", "..", ".", "http:", "https:")]
    return Path(*(parts[-3:] or ["picture"])).with_suffix(suffix)
