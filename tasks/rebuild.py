"""The verb rebuild: train a version again from its own record, and say whether the bytes come out the same."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file

from models.embedding_parameters import EmbeddingParameters
from models.parameters import parameters
from models.runtime.card import Card
from models.runtime.faults import Fault
from tasks.artifacts import card, files_of
from tasks.attempts import network_parameters
from tasks.data.checkout import checkout
from tasks.data.narrowing import only
from tasks.data.version import versions as data_versions
from tasks.files import alone_at
from tasks.page import log, show
from tasks.plan import PinnedDataset, TrainingPlan, pin, resolved, sources_digest
from tasks.register import predictor_of
from tasks.registry import Version, client
from tasks.tracking import RECORDED, active, record, surroundings
from tasks.train import Checkpoint, check_trainable, start_of
from tasks.workspace import state

WEIGHTS = "weights.safetensors"
SAID = {"sources": "the training code", "precision": "the precision of the arithmetic", "threads": "threads"}


class Rebuilt(BaseModel):
    """What came of it.

    same: whether the weights are the same, byte for byte.  registered, rebuilt: sha256 of both files.
    largest: the largest difference of two weights; None where the networks are not alike.
    differences: what is not as it was when the version was trained, a sentence each: where the bytes may differ by.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    same: bool
    registered: str
    rebuilt: str
    largest: float | None
    differences: list[str]
    seconds: float

    def sentence(self) -> str:
        """The answer, and why it may be so."""
        if self.same:
            return f"{self.model} rebuilt: the same bytes ({self.rebuilt[:12]}), in {self.seconds:.0f} s."
        apart = (
            "the networks are not alike" if self.largest is None else f"weights differ by {self.largest:.2g} at most"
        )
        why = "; ".join(self.differences) or (
            "nothing known has changed: a GPU does not add in a fixed order, and other work on it or on the "
            "processor's libraries may change the last digits"
        )
        return f"{self.model} rebuilt: not the same bytes ({apart}). Why that may be: {why}."


@task(cache_policy=NO_CACHE, task_run_name="rebuild {version}")
def rebuild(version: Version) -> Rebuilt:
    """Train again, in a folder of its own, what a version's record says. Nothing registered is changed."""
    described = card(version)
    plan = plan_of(version, described)
    check_trainable(plan.dataset.open(), plan)
    folder = state() / "rebuilds" / f"{version.name}-{version.number}-{plan.digest[:12]}"
    now = {"sources": plan.sources, **surroundings(), **_precision(plan)}
    differences = _differences(_recorded(version), now)
    for sentence in differences:
        log(f"not as it was: {sentence}")
    began = time.monotonic()
    waiting = "another process is at this very rebuild: waiting until it is done"
    with alone_at(folder.parent / "locks" / folder.name, lambda: log(waiting)):
        made = _trained(plan, folder)
        with files_of(version) as there:
            found = Rebuilt(
                model=str(version),
                same=_digest(there / WEIGHTS) == _digest(made),
                registered=_digest(there / WEIGHTS),
                rebuilt=_digest(made),
                largest=_largest(there / WEIGHTS, made),
                differences=differences,
                seconds=round(time.monotonic() - began, 1),
            )
        shutil.rmtree(
            folder, ignore_errors=True
        )  # what other libraries or another processor would make of it tomorrow is another question
    show(f"# {version} rebuilt\n\n{found.sentence()}\n", f"rebuild-{version.name}", "Rebuild")
    return found


def plan_of(version: Version, described: Card) -> TrainingPlan:
    """The training that made a version, as its card tells it. Raises Fault when it cannot be had again."""
    try:
        given = parameters(described.parameters, "its parameters")
    except Fault as fault:
        revision = _recorded(version).get("git_revision", "").removesuffix("+")
        how = f" Check out {revision[:12]}, and rebuild it there." if revision else ""
        raise Fault(
            f"{version} was trained by another Sightline, which this one cannot follow: {fault}.{how}"
        ) from None
    whole, named = resolved(given)
    dataset = _dataset(version)
    return TrainingPlan(name=version.name, dataset=dataset, given=whole, sources=sources_digest(), versions=named)


def _dataset(version: Version) -> PinnedDataset:
    """What it was trained on: in data/ where that is this version of it, else checked out."""
    name, wanted = version.dataset, version.dataset_version
    if data_versions().get(name) == wanted:
        return pin(name)
    log(f"data/{name} is another version now: bringing {wanted[:12]} into a folder of its own")
    try:
        return pin(f"{checkout(name, wanted).resolve()}/")
    except Fault as fault:
        raise Fault(f"{version} was trained on {name}@{wanted[:12]}, which cannot be had: {fault}") from None


def _trained(plan: TrainingPlan, folder: Path) -> Path:
    """The weights as a registration would write them; what was trained before and not finished goes on."""
    made = folder / "version" / WEIGHTS
    given = plan.parameters
    dataset = only(plan.dataset.open(), given.concepts)
    if isinstance(given, EmbeddingParameters):
        from tasks.embedded import learn_on_embeddings

        folder.mkdir(parents=True, exist_ok=True)
        learn_on_embeddings(dataset, given, folder, log)
    else:
        from tasks.fitting import learn

        learn(dataset, network_parameters(plan), folder, say=log, start=start_of(network_parameters(plan).weights))
    predictor = predictor_of(plan, Checkpoint(weights=str(folder / "best.safetensors")), dataset)
    predictor.save(made.parent)
    return made


def _recorded(version: Version) -> dict[str, str]:
    """How it came about: tags of the version, and of its run where an older one has them only there."""
    known = client().get_model_version(version.name, str(version.number)).tags
    earlier = record(version.run) if version.run and active(version.run) else {}
    return earlier | {name: known[name] for name in RECORDED if name in known}


def _precision(plan: TrainingPlan) -> dict[str, str]:
    if isinstance(plan.parameters, EmbeddingParameters):
        return {}
    from models.training import lightning_precision

    return {"precision": lightning_precision(network_parameters(plan))}


def _differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not as it was, in sentences."""
    found = []
    for name in RECORDED:
        if name in now and name not in then:
            found.append(f"nothing says which {SAID.get(name, name)} it was")
        elif name in now and then[name] != now[name]:
            short = [value[:12] if name == "sources" else value for value in (then[name], now[name])]
            found.append(f"{SAID.get(name, name)}: {short[0]} then, {short[1]} now")
    return found


def _largest(registered: Path, rebuilt: Path) -> float | None:
    there, here = load_file(registered), load_file(rebuilt)
    if {name: tensor.shape for name, tensor in there.items()} != {name: tensor.shape for name, tensor in here.items()}:
        return None
    return max(float((tensor.double() - here[name].double()).abs().max()) for name, tensor in there.items())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
