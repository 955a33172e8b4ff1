"""The verb of every prediction: a part of the inputs answered for. `gather.py` joins the parts.

A single model is a workflow of one node, a video is pictures in order: all come through here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import State
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault, short
from models.runtime.workflows.running import Workflow
from tasks.acts import Acts, check_allowed
from tasks.answers import Stopped, in_our_words
from tasks.drawn import Drawn, drawn_node
from tasks.files import write
from tasks.inputs import Inputs, Part, Seen, batches, seen
from tasks.lines import counted, line
from tasks.output import PARTS, writing
from tasks.page import log
from tasks.registry import resolve
from tasks.workflows import Job, reader, ready

WRITES = ("acts", "drawn", "gather", "inputs", "lines", "predict", "proposals")  # rooms that decide what is in a part


def begun(job: Job, inputs: Inputs, found: Sequence[Part], draw: bool) -> str:
    """What a run is known by, so that the same one goes on where it was cut off: models, code and what is asked.

    Its models are loaded. Raises Fault where what is asked for cannot be done, before anything is.
    """
    workflow = ready(job)
    still = next((part.paths[0] for part in found if not part.video), None)
    if workflow.plan.in_order and still is not None:
        raise Fault(f"{job.name} follows things from frame to frame: give it videos alone. {short(still)} is none.")
    if draw:
        drawn_node(workflow, job)
    check_allowed(workflow, inputs.allow)
    versions = [job.version] if job.version else workflow.plan.versions
    models = [resolve(version).logged_model for version in versions]  # a name may have been given anew since
    asked = json.dumps([job.digest, models, _code(), inputs.model_dump(mode="json"), draw])
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _code() -> str:
    """Of what answers and writes: two halves of one run by different code would be neither's."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    rooms = [here / f"{name}.py" for name in WRITES]
    for path in sorted([*(here.parent / "models" / "runtime").rglob("*.py"), *rooms]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Shard(BaseModel):
    """A part of a prediction: where it lies, how much it answered, what each node found, what could not be read.

    digest: of the part's inputs.  found: by node, how often each concept.  sizes: bytes of each file it wrote.
    """

    model_config = ConfigDict(frozen=True)

    at: int
    digest: str
    images: int
    found: dict[str, dict[str, int]] = {}
    rejected: list[dict[str, str]] = []
    sizes: dict[str, int] = {}
    video: bool = False


def _transient(task: Any, run: Any, state: State) -> bool:
    """Whether to try again: not what a person has to mend."""
    return _may_pass(state.result(raise_on_failure=False))


def _may_pass(error: object) -> bool:
    return not isinstance(error, Fault) or isinstance(error, Stopped)


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
    place, digest = folder / PARTS / f"{part.at:06d}", part.digest  # before a picture is read: it may change meanwhile
    with writing(folder):
        done = _stands(place, digest)
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
        file.flush()
        os.fsync(file.fileno())  # or a power cut could leave a part that says it is whole, and is not
    shard = Shard(
        at=part.at,
        digest=digest,
        images=count,
        found=found,
        rejected=rejected,
        sizes=_sizes(place),
        video=part.video,
    )
    with writing(folder):
        write(place.with_suffix(".json"), shard.model_dump_json())
    what = "frames" if part.video else "pictures"
    log(f"{count} {what} answered, {len(rejected)} could not be read")
    return shard


def _stands(place: Path, digest: str) -> Shard | None:
    """The shard as an earlier run left it, if that was whole and its inputs are the same."""
    try:
        shard = Shard.model_validate_json(place.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return None
    return shard if (shard.digest, shard.sizes) == (digest, _sizes(place)) else None


def _sizes(place: Path) -> dict[str, int]:
    """Bytes of a part's files, by their path below all parts."""
    below = sorted(path for path in place.rglob("*") if path.is_file())
    lines = place.with_suffix(".jsonl")
    return {path.relative_to(place.parent).as_posix(): path.stat().st_size for path in (lines, *below) if path.exists()}


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
        try:
            with in_our_words(job.name):
                answers = answer([picture.image for picture in batch], times)
        except Stopped:
            raise
        except Fault:
            if part.video:
                raise
            yield from _one_by_one(job, answer, batch, rejected)
        else:
            yield from zip(batch, answers, strict=True)


def _one_by_one(
    job: Job, answer: Any, batch: Sequence[Seen], rejected: list[dict[str, str]]
) -> Iterator[tuple[Seen, dict[str, Any]]]:
    """A batch with a picture that a node cannot answer for: that one is rejected, the others are answered."""
    for picture in batch:
        try:
            with in_our_words(job.name):
                (answers,) = answer([picture.image])
        except Stopped:
            raise
        except Fault as fault:
            rejected.append({"path": picture.path, "reason": str(fault)})
        else:
            yield picture, answers


def standing(states: Iterable[State[Shard]]) -> list[Shard]:
    """The shards, all of them. Raises Fault, as soon as one of them does and at the end where any other failed."""
    shards, failed = [], []
    for state in states:
        result = state.result(raise_on_failure=False)
        if isinstance(result, Shard):
            shards.append(result)
        elif not _may_pass(result):
            raise result
        else:
            failed.append(str(result))
    if failed:
        count = len(failed) + len(shards)
        raise Fault(
            f"{len(failed)} of {count} parts failed, the first with: {failed[0]}. The other parts stand: "
            "the same command again does these alone."
        )
    return shards
