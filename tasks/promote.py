"""The verb promote: the champion's place goes to the better version, measured on images neither learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from tasks.answers import predictor
from tasks.app import Gate
from tasks.artifacts import trained_on
from tasks.data.annotations import Annotation
from tasks.data.loading import entries
from tasks.data.narrowing import as_learned
from tasks.evaluate import Evaluation, measured
from tasks.kept import answered
from tasks.metrics.compare import Comparison, Report, compare
from tasks.page import log, show
from tasks.plan import PinnedDataset
from tasks.registry import CHAMPION, Version, note, set_alias, versions


class Promotion(BaseModel):
    """Who is champion now, and the sentence that says why."""

    model_config = ConfigDict(frozen=True)

    candidate: str
    champion: str
    promoted: bool
    metric: str
    candidate_score: float
    champion_score: float | None = None
    images: int
    why: str


@task(cache_policy=NO_CACHE, task_run_name="promote {candidate}")
def promote(candidate: Version, evaluation: Evaluation, dataset: PinnedDataset, gate: Gate) -> Promotion:
    """Make the candidate champion if it is better than the champion on images that neither was trained on."""
    metric = gate.metric or evaluation.headline
    if metric not in evaluation.metrics:
        raise Fault(f"gate: there is no metric {metric!r} here. There are: {', '.join(sorted(evaluation.metrics))}.")
    champion = next((entry for entry in versions(candidate.name) if CHAMPION in entry.aliases), None)
    decision = _decide(candidate, champion, evaluation, dataset, gate, metric)
    if decision.promoted:
        set_alias(candidate, CHAMPION)
    if decision.champion != str(candidate) or decision.promoted:  # the sentence of its promotion stays
        note(candidate, promotion=decision.why)
    log(decision.why)
    already = decision.champion == decision.candidate
    heading = "Promoted" if decision.promoted else "Champion already" if already else "Not promoted"
    show(f"# {heading}\n\n{decision.why}\n", f"promotion-{candidate.name}", "The gate's decision")
    return decision


def _decide(
    candidate: Version,
    champion: Version | None,
    evaluation: Evaluation,
    dataset: PinnedDataset,
    gate: Gate,
    metric: str,
) -> Promotion:
    score = evaluation.metrics[metric]
    answer = Promotion(
        candidate=str(candidate),
        champion=str(champion or ""),
        promoted=False,
        metric=metric,
        candidate_score=score,
        images=evaluation.images,
        why="",
    )
    if champion and champion.number == candidate.number:
        return answer.model_copy(update={"why": f"{candidate} is the champion already: {metric} {score:.4f}."})
    if score < gate.minimum:
        why = f"{candidate} stays: its {metric} of {score:.4f} is below the gate's minimum of {gate.minimum:.4f}."
        return answer.model_copy(update={"why": why})
    if champion is None:
        why = f"{candidate} is the first champion of {candidate.name}: {metric} {score:.4f}."
        return answer.model_copy(update={"why": why, "promoted": True, "champion": str(candidate)})
    return answer.model_copy(update=_duel(candidate, champion, dataset, gate, metric, evaluation.split))


def _duel(
    candidate: Version, champion: Version, dataset: PinnedDataset, gate: Gate, metric: str, split: str
) -> dict[str, Any]:
    """Both on the images of the split that neither learned from: what was found, and who is champion."""
    seen = trained_on(champion) | trained_on(candidate)
    opened = as_learned(dataset.open(), predictor(candidate).card.parameters.get("concepts", ()))
    fair = [entry for entry in entries(opened, split) if entry.sha256 not in seen]
    if not fair:
        why = f"{candidate} stays: there is no {split} image that neither it nor {champion} was trained on."
        return {"images": 0, "why": why}
    predictor(champion)  # damaged, it is no matter of comparing
    try:
        new = _measured(candidate, dataset, split, fair)
        duel = compare(_measured(champion, dataset, split, fair), new, metric)
    except Fault as fault:  # other concepts, or another meaning of them: nobody can say which is better
        if fault.__cause__:
            raise  # one of the two stopped with an error of its own: that says nothing about which is better
        by_hand = f"`sightline model promote {candidate}` makes it champion by hand."
        why = f"{candidate} stays: it cannot be compared with {champion}. {fault} {by_hand}"
        return {"images": len(fair), "why": why}
    promoted, needed = _enough(duel, gate)
    verb = "takes the place of" if promoted else "does not replace"
    return {
        "images": len(fair),
        "promoted": promoted,
        "champion": str(candidate if promoted else champion),
        "candidate_score": duel.candidate,
        "champion_score": duel.champion,
        "why": f"{candidate} {verb} {champion}: {duel.sentence}, none of which either was trained on.{needed}",
    }


def _measured(version: Version, dataset: PinnedDataset, split: str, images: Sequence[Annotation]) -> Report:
    return measured(predictor(version).card, images, answered(version, dataset, split).on(images), None)


def _enough(duel: Comparison, gate: Gate) -> tuple[bool, str]:
    """Whether the candidate is better by what the gate asks for, and what that was, where it is not plain."""
    if gate.min_improvement is not None:
        needed = f" It had to be better by {gate.min_improvement:g}." if gate.min_improvement else ""
        return duel.gain > 0 and duel.gain >= gate.min_improvement, needed
    if duel.verdict == "cannot tell" and duel.gain > 0:
        return False, " The whole interval would have to be on its side (or min_improvement say how much is enough)."
    return duel.verdict == "better", ""
