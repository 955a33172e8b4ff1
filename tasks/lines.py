"""Answers as lines of JSON and as rows of a table: of one model, or of every node of a workflow."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.runtime.card import Card
from models.runtime.operators.findings import Colors, Counts, Text
from models.runtime.predictions import Clusters, Concepts, Embeddings, Regions
from models.runtime.workflows.plan import Step
from models.runtime.workflows.running import Workflow
from tasks.workflows import Job

HELD = 50_000  # rows in memory at once; of vectors, which are long, a fiftieth
# What a row of a table has for each type of answer, in MLflow's words.
MORE = {"track_id": "long", "parent": "long", "color": "string", "verdict": "string"}
VECTORS = Embeddings.columns
COLUMNS: dict[str, dict[str, str]] = {
    "concepts": Concepts.columns,
    "regions": Regions.columns,
    "frames": Regions.columns,
    "embeddings": Embeddings.columns,
    "clusters": Clusters.columns,
    "count": Counts.columns,
    "colors": Colors.columns,
    "text": Text.columns,
    "image": {},
    "images": {},
}
LISTS = ("concepts", "regions", "colors")  # keys of a line that hold a row each


def line(job: Job, workflow: Workflow, where: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    """One picture's answers: of a single model beside the picture's columns, of a workflow below `nodes`, by id."""
    told = {step.node.id: answers[step.node.id].line(least(step, workflow)) for step in workflow.plan.steps}
    if job.single:
        (body,) = told.values()
        return {**where, "model": job.version, "dataset_version": job.dataset_version, **body}
    return {**where, "workflow": job.name, "nodes": told}


def least(step: Step, workflow: Workflow) -> float:
    """The least score that a model's line holds: the node's threshold, or the model's own."""
    if step.signature is None or step.gives != step.signature.gives:  # what it says of crops, it says of all
        return 0.0
    one = workflow.predictors[step.signature.version]
    return one.kind.least(one.card, step.node.params.get("threshold"))


def counted(step: Step, workflow: Workflow, answer: Any) -> Counter[str]:
    """What a node found in one picture: concepts, how often; of an embedder, of colours and of pictures nothing."""
    if step.gives in ("regions", "frames"):
        return Counter(answer.concepts[label] for label in answer.labels)
    if step.gives == "count":
        return Counter({row["concept"]: row["count"] for row in answer.rows()})
    if step.gives == "concepts":
        return Counter(told(step, workflow, answer))
    if step.gives == "clusters" and step.signature is not None:
        return Counter([workflow.predictors[step.signature.version].card.concepts[answer.cluster]])
    return Counter(["read"]) if step.gives == "text" and answer.text else Counter()


def told(step: Step, workflow: Workflow, answer: Concepts) -> list[str]:
    """The best concept, or of a model whose concepts may go together each that is sure enough."""
    if step.signature is None:
        return [answer.best] if len(answer) and answer.scores.max() > 0 else []
    return sure_of(answer, workflow.predictors[step.signature.version].card, step.node.params.get("threshold"))


def sure_of(answer: Concepts, card: Card, threshold: float | None) -> list[str]:
    """The best concept, or each that is sure enough."""
    lowest = threshold if threshold is not None else 0.0 if card.exclusive else card.threshold
    sure = [row["concept"] for row in answer.rows() if row["score"] >= lowest]
    return sure[:1] if card.exclusive else sure


def columns(job: Job, workflow: Workflow, video: bool) -> dict[str, str]:
    """The table's columns and their types: the picture's, the frame's where there are videos, the answers'."""
    frame = {"frame": "long", "time_ms": "double"} if video else {}
    gives = [step.gives for step in workflow.plan.steps]
    answered = {name: kind for each in gives for name, kind in COLUMNS[each].items()}
    if job.single:
        return {"image": "string", **frame, "model": "string", "dataset_version": "string", **answered}
    regions = MORE if {"regions", "frames"} & set(gives) else {}
    if any(step.signature is not None and step.signature.gives == "embeddings" for step in workflow.plan.steps):
        regions = regions | VECTORS  # beside the regions of crops
    return {"image": "string", **frame, "workflow": "string", "node": "string", **answered, **regions}


def write_table(lines: Path, target: Path, names: dict[str, str]) -> None:
    """Parquet from JSON Lines, a row for each region, concept or number, batch by batch: memory does not grow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "string": pa.string(),
        "long": pa.int64(),
        "double": pa.float64(),
        "array of float": pa.list_(pa.float32()),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in names.items()])
    held = HELD // 50 if "embedding" in names else HELD
    with lines.open(encoding="utf-8") as file, pq.ParquetWriter(target, schema) as writer:
        rows: list[dict[str, Any]] = []
        for text in file:
            rows += flat(json.loads(text), names)
            if len(rows) > held:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))


def flat(told: dict[str, Any], names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of one line: its regions, concepts or colours, its counts, or the line itself; of every node."""
    shared = {name: told[name] for name in names if name in told}
    for node, body in told["nodes"].items() if "nodes" in told else [("", told)]:
        own = {"node": node} if "nodes" in told else {}
        for row in _rows(body):
            box = dict(zip(("x0", "y0", "x1", "y1"), row.get("box", ()), strict=False))
            yield {**shared, **own, **{name: row[name] for name in names if name in row}, **box}


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    for name in LISTS:
        if name in body:
            return body[name]
    if "counts" in body:
        return [{"concept": concept, "count": count} for concept, count in body["counts"].items()]
    return [body] if {"embedding", "cluster", "text"} & body.keys() else []
