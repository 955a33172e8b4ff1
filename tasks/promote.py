"""The verb promote: the champion's place goes to the better version, measured on images neither learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from models.runtime.predictions import Answer, Concepts, Regions
from tasks.answers import predictor
from tasks.app import Gate
from tasks.artifacts import card, trained_on
from tasks.data.annotations import Annotation
from tasks.data.loading import entries
from tasks.data.narrowing import as_learned
from tasks.evaluate import Evaluation, measured
from tasks.kept import answered
from tasks.metrics.compare import GATED, Difference, Report, compare
from tasks.page import log, show
from tasks.plan import PinnedDataset
from tasks.registry import CHAMPION, Version, note, set_alias, versions

HAIR = 1e-9  # .9 is better than .8 by .1, whatever floats make of it


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
    known = next((names for names in GATED.values() if evaluation.headline in names), ())
    if metric not in evaluation.metrics and metric in known:
        where = f"{evaluation.dataset} {evaluation.split}"
        raise Fault(f"gate: {metric} of {candidate} is undefined on {where}: no label there gives it.")
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
    whole = dataset.open()
    opened = as_learned(whole, card(candidate).parameters.get("concepts", ()))
    left_out = frozenset(whole.concepts) - frozenset(opened.concepts)
    fair = [entry for entry in entries(opened, split) if entry.sha256 not in seen]
    if not fair:
        why = f"{candidate} stays: there is no {split} image that neither it nor {champion} was trained on."
        return {"images": 0, "why": why}
    predictor(champion)  # damaged, it is no matter of comparing
    try:
        new = _measured(candidate, dataset, split, fair)
        duel = compare(_measured(champion, dataset, split, fair, left_out), new, metric)
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


def _measured(
    version: Version,
    dataset: PinnedDataset,
    split: str,
    images: Sequence[Annotation],
    left_out: frozenset[str] = frozenset(),
) -> Report:
    """left_out: concepts whose labels were taken away, so that what a version says of them is not wrong."""
    found = [_without(answer, left_out) for answer in answered(version, dataset, split).on(images)]
    return measured(card(version), images, found, None)


def _without(answer: Answer, concepts: frozenset[str]) -> Answer:
    """An answer that says nothing of some concepts."""
    if not isinstance(answer, Regions | Concepts):
        return answer
    gone = np.array([name in concepts for name in answer.concepts], bool)
    if isinstance(answer, Regions):
        return answer[~gone[answer.labels]]
    return Concepts(np.where(gone, np.float32(0), answer.scores), answer.concepts)


def _enough(duel: Difference, gate: Gate) -> tuple[bool, str]:
    """Whether the candidate is better by what the gate asks for, and what that was, where it is not plain."""
    if gate.min_improvement is not None:
        needed = f" It had to be better by {gate.min_improvement:g}." if gate.min_improvement else ""
        return duel.gain > 0 and duel.gain >= gate.min_improvement - HAIR, needed
    if duel.verdict == "cannot tell" and duel.gain > 0 and not (duel.low > 0 or duel.high < 0):
        return False, " The whole interval would have to be on its side (or min_improvement say how much is enough)."
    return duel.verdict == "better", ""
