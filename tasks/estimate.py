"""How much work a training is and, by what earlier ones took on this machine, how long: said before it starts."""

from __future__ import annotations

from statistics import median

from models.duration import duration
from models.parameters import NetworkParameters
from tasks.plan import TrainingPlan
from tasks.registry import Version, versions

NEWEST = 5  # earlier trainings that tell


def estimate(plan: TrainingPlan) -> str:
    """One line: epochs, steps, and about how long. Empty where nothing is trained in epochs.

    A training takes as long as it has pixels to see: images × epochs × side², at the pace of the newest versions of
    this template that were trained on this processor. A rough guess: other parameters change the pace.
    """
    given = plan.parameters
    if not isinstance(given, NetworkParameters) or not given.epochs:
        return ""
    images = samples(plan)
    steps = f"{max(1, images // min(given.batch_size, images))} steps each, " if given.batch_size else ""
    work = f"{given.epochs} epoch{'s' * (given.epochs != 1)}, {steps}{images} images"
    paces = [pace for pace in map(_pace, _alike(given.template)) if pace]
    if not paces:
        return f"{work}; how long it takes is said after the first steps"
    seconds = median(paces) * images * given.epochs * given.image_size**2
    earlier = f"{len(paces)} earlier training{'s' * (len(paces) != 1)}"
    return f"{work}: about {duration(seconds)}, by {earlier} of {given.template} on this processor"


def samples(plan: TrainingPlan) -> int:
    """Images that an epoch of a training has."""
    given, dataset = plan.parameters, plan.opened()
    images = sum(len(dataset.split(split)) for split in getattr(given, "splits", "train").split("+"))
    return max(1, images, getattr(given, "min_samples_per_epoch", 0))


def _alike(template: str) -> list[Version]:
    """The newest versions of a template that were trained on this machine's processor."""
    from tasks.tracking import processor

    here = processor()
    found = [version for version in versions() if (version.template, version.processor) == (template, here)]
    return sorted(found, key=lambda version: version.created)[-NEWEST:]


def _pace(version: Version) -> float:
    """Seconds a pixel; 0 where the version does not say."""
    pixels = version.samples * version.epochs * version.image_size**2
    return version.training_seconds / pixels if pixels else 0.0
