"""The verb gather: the parts of a prediction joined, the files that people read, and the run's page."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.runtime.workflows.running import Workflow
from tasks.acts import finish
from tasks.files import as_csv, free, linked, write
from tasks.lines import columns, write_table
from tasks.output import PARTS, writing
from tasks.page import show
from tasks.predict import Shard
from tasks.workflows import Job, ready

PICTURED = 4  # drawn pictures on the run's page
REJECTED = 10  # rejected inputs on it
LISTED = 20  # concepts of a node on it


@task(cache_policy=NO_CACHE, task_run_name="gather")
def gather(job: Job, shards: Sequence[Shard], rejected: Sequence[dict[str, str]], folder: Path) -> dict[str, Any]:
    """Join the parts: `predictions.jsonl`, the same flat as `predictions.parquet`, `rejected.csv`, `drawn/`."""
    workflow = ready(job)
    rows = [*rejected, *(row for shard in shards for row in shard.rejected)]
    with writing(folder):
        acted = _join(job, workflow, shards, rows, folder)
    images = sum(shard.images for shard in shards)
    found = _found(job, workflow, shards)
    show(_page(job, workflow, images, found, rows, folder), "predictions", job.name, _pictured(folder))
    return {
        "model" if job.single else "workflow": job.name,
        **({"dataset_version": job.dataset_version} if job.single else {"models": list(workflow.plan.versions)}),
        "images": images,
        "found": next(iter(found.values()), {}) if job.single else found,
        "rejected": rows,
        "output": str(folder),
        **({"acts": acted} if acted else {}),
    }


def _pictured(folder: Path) -> list[Path]:
    return sorted((folder / "drawn").rglob("*.jpg"))[:PICTURED]


def _found(job: Job, workflow: Workflow, shards: Sequence[Shard]) -> dict[str, dict[str, int]]:
    """By node, how often each concept it can answer was found; an embedder finds nothing to count."""
    found: dict[str, dict[str, int]] = {}
    for step in workflow.plan.steps:
        counts = sum((Counter(shard.found.get(step.node.id, {})) for shard in shards), Counter[str]())
        if step.gives in ("regions", "frames", "concepts", "clusters"):
            found[step.node.id] = {concept: counts[concept] for concept in step.concepts}
        elif step.gives in ("count", "text"):
            found[step.node.id] = dict(counts)
    return found


def _page(
    job: Job,
    workflow: Workflow,
    images: int,
    found: dict[str, dict[str, int]],
    rejected: Sequence[dict[str, str]],
    folder: Path,
) -> str:
    """The run's page: counts, what each node found, what was left out."""
    told = [f"{job.name} answered for **{images}** pictures, {len(rejected)} could not be read: `{folder}`"]
    rows = [f"| {node} | {_told(counts)} |" for node, counts in found.items()]
    if not job.single:
        told += ["", f"Models: {', '.join(workflow.plan.versions) or 'none'}."]
    if rows and not job.single:
        told += ["", "| node | found |", "| :--- | :--- |", *rows]
    if rejected:
        told += ["", "Left out:", ""]
        told += [f"- `{row['path']}`: {row['reason']}" for row in rejected[:REJECTED]]
        told += [f"- and {len(rejected) - REJECTED} more in `rejected.csv`"] if len(rejected) > REJECTED else []
    return "\n".join(told)


def _told(counts: dict[str, int]) -> str:
    """The most frequent first, and how many more there are."""
    ranked = [f"{count} × {concept}" for concept, count in Counter(counts).most_common() if count]
    more = [f"and {len(ranked) - LISTED} more"] if len(ranked) > LISTED else []
    return ", ".join(ranked[:LISTED] + more) or "nothing"


def _join(
    job: Job, workflow: Workflow, shards: Sequence[Shard], rejected: list[dict[str, str]], folder: Path
) -> dict[str, Any]:
    whole = folder / ".predictions.jsonl"  # takes its name when all is there: a folder with that name is refused
    whole.unlink(missing_ok=True)  # a link there would be written through
    with whole.open("w", encoding="utf-8") as file:
        for shard in shards:
            with (folder / PARTS / f"{shard.at:06d}.jsonl").open(encoding="utf-8") as part:
                shutil.copyfileobj(part, file)
    write_table(whole, folder / "predictions.parquet", columns(job, workflow, any(shard.video for shard in shards)))
    if rejected:
        write(folder / "rejected.csv", as_csv(rejected))
    places = [folder / PARTS / f"{shard.at:06d}" for shard in shards]
    _gather_drawn(places, folder / "drawn")
    acted = finish(workflow, job, places, folder)
    if not job.single:
        write(folder / "workflow.json", json.dumps(job.graph, indent=2, ensure_ascii=False) + "\n")
    whole.replace(folder / "predictions.jsonl")
    shutil.rmtree(folder / PARTS)  # last: until here it says that the rest is this prediction's
    return acted


def _gather_drawn(places: Sequence[Path], target: Path) -> None:
    """Every part's drawn pictures in one folder; those of one name beside each other."""
    for place in places:
        drawn = place / "drawn"
        for path in sorted(path for path in drawn.rglob("*") if path.is_file()):
            linked(path, free(target / path.relative_to(drawn)))
