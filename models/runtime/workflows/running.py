"""A workflow at work: batches of pictures through the steps of a plan, every node's answer for every picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ..faults import Fault
from ..operators.views import View, Views, in_source, on_regions
from ..predictions import Regions, ours
from ..predictor import Picture, read
from .graph import PICTURE, parse
from .plan import Plan, Signature, Step
from .wiring import plan


class Workflow:
    """A plan with its models, ready to answer.

    predictors: for each version its predictor, of whatever runtime; nodes of one version share it.
    """

    def __init__(self, plan: Plan, predictors: Mapping[str, Any]) -> None:
        self.plan = plan
        self.predictors = predictors

    @classmethod
    def load(cls, file: Path, part: Callable[[str], Any]) -> Workflow:
        """From a registered workflow's file; part: gives the predictor in a folder of that name beside it."""
        content = json.loads(file.read_text(encoding="utf-8"))
        graph, signatures = parse({"workflow": content["workflow"]}, []), content["signatures"]
        found = plan(graph, known(signatures), str(file))
        return cls(found, {version: part(row["files"]) for version, row in signatures.items()})

    def table(
        self, pictures: Sequence[Picture], fps: float | None = None, batch_size: int = 16
    ) -> list[dict[str, Any]]:
        """A row a picture: `image`, its place from 0, and every node's answer as JSON holds it, pictures as PNG.

        fps: above 0, the pictures are a video's frames, so many a second.
        """
        answer, rows = self.started(), []
        for start in range(0, len(pictures), batch_size):
            images = [read(given, f"image {i}") for i, given in enumerate(pictures[start : start + batch_size], start)]
            times = [(start + i) * 1000 / fps for i in range(len(images))] if fps and fps > 0 else ()
            for i, found in enumerate(answer(images, times), start):
                rows.append({"image": i} | {node: _told(value) for node, value in found.items()})
        return rows

    def started(self) -> Callable[..., list[dict[str, Any]]]:
        """What answers one stream of pictures, batch after batch: the frames of a video, or pictures in any order.

        It is called with RGB pictures and, of a video, their times in ms, and answers for each picture a value a node,
        by the node's id.  Raises Fault, naming the node, where one cannot answer.
        """
        calls = {step.node.id: step.operator.started() for step in self.plan.steps if step.operator is not None}

        def answer(images: Sequence[Image.Image], times: Sequence[float] = ()) -> list[dict[str, Any]]:
            values: dict[str, list[Any]] = {PICTURE: [View.whole(image) for image in images]}
            for step in self.plan.steps:
                call = calls.get(step.node.id)
                values[step.node.id] = self._asked(step, values) if call is None else _called(step, call, values, times)
            return [{id: column[i] for id, column in values.items() if id != PICTURE} for i in range(len(images))]

        return answer

    def _asked(self, step: Step, values: Mapping[str, list[Any]]) -> list[Any]:
        """A model's answer for each picture; the crops of all pictures in the batch are asked about together."""
        assert step.signature is not None
        predictor = self.predictors[step.signature.version]
        given = values[step.wires["image"][0]]
        views = given if step.takes == "image" else [view for each in given for view in each.views]
        least = predictor.kind.least(predictor.card, step.node.params.get("threshold"))
        answers = [_at_least(ours(answer), least) for answer in predictor.predict([view.image for view in views])]
        if step.takes == "image":
            return [
                in_source(view, answer) if isinstance(answer, Regions) else answer
                for view, answer in zip(given, answers, strict=True)
            ]
        rest = iter(answers)
        split = [[next(rest) for _ in range(len(each))] for each in given]
        return [
            on_regions(each, found, step.signature.gives, step.concepts)
            for each, found in zip(given, split, strict=True)
        ]


def known(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Signature]:
    """The signatures in a registered workflow's file."""
    return {
        version: Signature(row["version"], row["type"], row["gives"], tuple(row["concepts"]))
        for version, row in rows.items()
    }


def _called(step: Step, call: Callable[..., Any], values: Mapping[str, list[Any]], times: Sequence[float]) -> list[Any]:
    """An operator's answer for each picture, in order."""
    assert step.operator is not None
    ports = step.operator.takes
    if step.operator.in_order and not times:
        raise Fault(f"{step.node.id}: {step.node.operator} follows things from frame to frame: give it a video")
    answers = []
    for i in range(len(values[PICTURE])):
        inputs = {
            port: [values[node][i] for node in nodes] if ports[port].many else values[nodes[0]][i]
            for port, nodes in step.wires.items()
        }
        if step.operator.in_order:
            inputs["time_ms"] = times[i]
        try:
            answers.append(call(**inputs))
        except Fault as fault:
            raise Fault(f"{step.node.id}: {fault}") from None
    return answers


def _told(value: Any) -> dict[str, Any]:
    """An answer as JSON holds it."""
    if isinstance(value, View):
        return {**value.line(), "png": _png(value.image)}
    if isinstance(value, Views):
        rows = [row | {"png": _png(view.image)} for row, view in zip(value.line()["images"], value.views, strict=True)]
        return {"images": rows}
    return value.line()


def _png(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _at_least(answer: Any, least: float) -> Any:
    """Regions of that score or more. Of concepts all: what is made of them may need every one."""
    return answer[answer.scores >= least] if isinstance(answer, Regions) else answer
