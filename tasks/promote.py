"""The verb promote: the champion's place goes to the better version, measured on images neither learned from."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.faults import Fault
from tasks.app import Gate
from tasks.evaluate import Evaluation, measure
from tasks.metrics.compare import HEADLINE
from tasks.plan import PinnedDataset
from tasks.predict import predictor
from tasks.registry import CHAMPION, Version, note, set_alias, trained_on, versions


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


@task(cache_policy=NO_CACHE)
def promote(candidate: Version, evaluation: Evaluation, dataset: PinnedDataset, gate: Gate) -> Promotion:
    """Make the candidate champion if it is better than the champion on images that neither was trained on."""
    metric = gate.metric or HEADLINE[dataset.open().task]
    if metric not in evaluation.metrics:
        raise Fault(f"gate: there is no metric {metric!r} here. There are: {', '.join(sorted(evaluation.metrics))}.")
    champion = next((entry for entry in versions(candidate.name) if CHAMPION in entry.aliases), None)
    decision = _decide(candidate, champion, evaluation, dataset, gate, metric)
    if decision.promoted:
        set_alias(candidate, CHAMPION)
    note(candidate, promotion=decision.why)
    get_run_logger().info(decision.why)
    create_markdown_artifact(
        f"# {'Promoted' if decision.promoted else 'Not promoted'}\n\n{decision.why}\n",
        key=f"promotion-{candidate.name.lower().replace('_', '-').replace('.', '-')}",
        description="The gate's decision",
    )
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

    def decided(promoted: bool, why: str, images: int, mine: float = score, theirs: float | None = None) -> Promotion:
        holder = candidate if promoted or champion is None else champion
        return Promotion(
            candidate=str(candidate),
            champion=str(holder) if promoted or champion else "",
            promoted=promoted,
            metric=metric,
            candidate_score=mine,
            champion_score=theirs,
            images=images,
            why=why,
        )

    if score < gate.minimum:
        why = f"{candidate} stays: its {metric} of {score:.4f} is below the gate's minimum of {gate.minimum:.4f}."
        return decided(False, why, evaluation.images)
    if champion is None:
        why = f"{candidate} is the first champion of {candidate.name}: {metric} {score:.4f}."
        return decided(True, why, evaluation.images)
    if champion.number == candidate.number:
        return decided(False, f"{candidate} is the champion already: {metric} {score:.4f}.", evaluation.images)
    theirs, mine, images = _duel(champion, candidate, dataset, metric, evaluation.split)
    if images == 0:
        why = f"{candidate} stays: there is no {evaluation.split} image that neither it nor {champion} was trained on."
        return decided(False, why, 0)
    better = mine > theirs and mine - theirs >= gate.min_improvement
    needed = f" by {gate.min_improvement:.4f} or more" if gate.min_improvement else ""
    why = (
        f"{candidate} {'takes the place of' if better else 'does not replace'} {champion}: {metric} {mine:.4f} "
        f"against {theirs:.4f} on {images} images neither was trained on; it must be higher{needed}."
    )
    return decided(better, why, images, mine, theirs)


def _duel(
    champion: Version, candidate: Version, dataset: PinnedDataset, metric: str, split: str
) -> tuple[float, float, int]:
    """The metric of both on the images of the split that neither learned from, and how many these are."""
    seen = trained_on(champion) | trained_on(candidate)
    opened = dataset.open()
    fair = tuple(entry for entry in opened.split(split) if entry.sha256 not in seen)
    if not fair:
        return 0.0, 0.0, 0
    theirs, mine = (
        measure(predictor(version), opened, fair, None, f"{version} on {len(fair)} images").summary[metric]
        for version in (champion, candidate)
    )
    return theirs, mine, len(fair)
