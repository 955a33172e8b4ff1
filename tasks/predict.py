"""The verbs of every prediction: a part of the inputs answered for, and the parts joined.

A single model is a workflow of one node, a video is pictures in order: all come through here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import State
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from models.runtime.workflows.running import Workflow
from tasks.acts import Acts, check_allowed, finish
from tasks.answers import in_our_words
from tasks.drawn import Drawn, drawn_node
from tasks.files import as_csv, free, linked, write
from tasks.inputs import Inputs, Part, Seen, batches, seen
from tasks.lines import columns, counted, line, write_table
from tasks.output import PARTS, writing
from tasks.page import log, show
from tasks.workflows import Job, reader, ready

PICTURED = 4  # drawn pictures on the run's page
REJECTED = 10  # rejected inputs on it


def begun(job: Job, inputs: Inputs, draw: bool) -> str:
    """What a run is known by, so that the same one goes on where it was cut off; its models are loaded.

    Raises Fault where what is asked for cannot be done, before anything is.
    """
    workflow = ready(job)
    if draw:
        drawn_node(workflow, job)
    check_allowed(workflow, inputs.allow)
    asked = json.dumps([job.digest, inputs.model_dump(mode="json"), draw])
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


class Shard(BaseModel):
    """A part of a prediction: where it lies, how much it answered, what each node found, what could not be read.

    digest: of the part's inputs.  found: by node, how often each concept.
    """

    model_config = ConfigDict(frozen=True)

    at: int
    digest: str
    images: int
    found: dict[str, dict[str, int]] = {}
    rejected: list[dict[str, str]] = []
    video: bool = False


def _transient(task: Any, run: Any, state: State) -> bool:
    """Whether to try again: not what a person has to mend."""
    return not isinstance(state.result(raise_on_failure=False), Fault)


@task(
    cache_policy=NO_CACHE,
    task_run_name="predict {part.at}",
    retries=2,
    retry_delay_seconds=[1, 10],
    retry_condition_fn=_transient,
)
def predict_shard(job: Job, part: Part, given: Inputs, folder: Path, draw: bool) -> Shard:
    """Answer for some pictures or one video; what cannot be read is reported and the rest goes on.

    One that was answered before, in a run of the same that was cut off, stands.
    Raises Fault where nothing of the answers can be drawn and that was asked for.
    """
    place = folder / PARTS / f"{part.at:06d}"
    with writing(folder):
        done = _stands(place, part)
        if done is not None:
            log(f"{done.images} pictures were answered before")
            return done
        for left in folder.glob(f"{PARTS}/{part.at:06d}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        place.mkdir()
    with in_our_words(job.name):
        workflow = ready(job)
    rejected: list[dict[str, str]] = []
    with writing(folder), place.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        found: dict[str, Counter[str]] = {step.node.id: Counter() for step in workflow.plan.steps}
        count = 0
        with Drawn(place, drawn_node(workflow, job) if draw else "", part) as drawn, Acts(place, workflow) as acts:
            for picture, answers in _answered(job, workflow, part, given, rejected):
                file.write(json.dumps(line(job, workflow, picture.where(), answers), ensure_ascii=False) + "\n")
                _add(found, workflow, answers)
                drawn.add(picture, answers)
                acts.add(picture, answers)
                count += 1
    shard = Shard(at=part.at, digest=part.digest, images=count, found=found, rejected=rejected, video=part.video)
    with writing(folder):
        write(place.with_suffix(".json"), shard.model_dump_json())
    what = "frames" if part.video else "pictures"
    log(f"{count} {what} answered, {len(rejected)} could not be read")
    return shard


def _stands(place: Path, part: Part) -> Shard | None:
    """The shard as an earlier run left it, if that was whole and its inputs are the same."""
    try:
        shard = Shard.model_validate_json(place.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return None
    return shard if shard.digest == part.digest else None


def _add(found: dict[str, Counter[str]], workflow: Workflow, answers: dict[str, Any]) -> None:
    """Add up what a picture shows; of what a node counts from frame to frame the last stands."""
    for step in workflow.plan.steps:
        counts = counted(step, workflow, answers[step.node.id])
        totals = step.operator is not None and step.operator.in_order and step.gives == "count"
        found[step.node.id] = counts if totals else found[step.node.id] + counts


def _answered(
    job: Job, workflow: Workflow, part: Part, given: Inputs, rejected: list[dict[str, str]]
) -> Iterator[tuple[Seen, dict[str, Any]]]:
    """Each picture with every node's answer, in order, under a progress bar where somebody watches."""
    from rich.console import Console
    from rich.progress import track

    answer = workflow.started()
    pictures = seen(part, given, reader(workflow), rejected)
    shown = track(
        batches(pictures), "predicting", console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )
    for batch in shown:
        times = [picture.time_ms for picture in batch] if part.video else ()
        with in_our_words(job.name):
            answers = answer([picture.image for picture in batch], times)
        yield from zip(batch, answers, strict=True)


def standing(states: Iterable[State[Shard]]) -> list[Shard]:
    """The shards, all of them. Raises Fault, as soon as one of them does and at the end where any other failed."""
    shards, failed = [], []
    for state in states:
        result = state.result(raise_on_failure=False)
        if isinstance(result, Fault):
            raise result
        if isinstance(result, Shard):
            shards.append(result)
        else:
            failed.append(str(result))
    if failed:
        count = len(failed) + len(shards)
        raise Fault(
            f"{len(failed)} of {count} parts failed, the first with: {failed[0]}. The other parts stand: "
            "the same command again does these alone."
        )
    return shards


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
        **({"dataset_version": job.dataset_version} if job.single else {}),
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
    rows = [
        f"| {node} | {', '.join(f'{count} {concept}' for concept, count in counts.items() if count) or 'nothing'} |"
        for node, counts in found.items()
    ]
    if rows and not job.single:
        told += ["", "| node | found |", "| :--- | :--- |", *rows]
    if rejected:
        told += ["", "Left out:", ""]
        told += [f"- `{row['path']}`: {row['reason']}" for row in rejected[:REJECTED]]
        told += [f"- and {len(rejected) - REJECTED} more in `rejected.csv`"] if len(rejected) > REJECTED else []
    return "\n".join(told)


def _join(
    job: Job, workflow: Workflow, shards: Sequence[Shard], rejected: list[dict[str, str]], folder: Path
) -> dict[str, Any]:
    whole = folder / ".predictions.jsonl"  # takes its name when all is there: a folder with that name is refused
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
    whole.replace(folder / "predictions.jsonl")
    shutil.rmtree(folder / PARTS)  # last: until here it says that the rest is this prediction's
    return acted


def _gather_drawn(places: Sequence[Path], target: Path) -> None:
    """Every part's drawn pictures in one folder; those of one name beside each other."""
    for place in places:
        drawn = place / "drawn"
        for path in sorted(path for path in drawn.rglob("*") if path.is_file()):
            linked(path, free(target / path.relative_to(drawn)))
