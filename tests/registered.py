"""Datasets on disk and versions in the registry, for tests of the verbs: made in a second, mostly without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from models.parameters import parameters
from models.runtime import networks
from tasks.data.store import heading
from tasks.gather import gather
from tasks.inputs import Inputs, parts
from tasks.output import PARTS
from tasks.plan import PinnedDataset, TrainingPlan
from tasks.predict import begun, predict_shard
from tasks.register import register
from tasks.registry import Version, set_alias
from tasks.tracking import start_run
from tasks.train import Checkpoint, plan_training, train, work_folder
from tasks.workflows import Job, single
from tests.drawn import shapes

SPLITS = ("train",) * 8 + ("val",) * 4 + ("test",) * 4
numbers = count(1)  # one registry serves all tests: each model has a name of its own


def pinned(folder: Path, splits: Sequence[str] = SPLITS, task: str = "classification", size: int = 32) -> PinnedDataset:
    """A dataset `shapes` on disk: a drawn picture for each split named, `tall` and `wide` ones by turns."""
    drawn = shapes(folder, train=len(splits), val=0, task=task, size=size)
    entries = [replace(entry, split=split) for entry, split in zip(drawn.annotations, splits, strict=True)]
    (folder / "dataset.yaml").write_text(heading("shapes", task, True, drawn.concepts))
    (folder / "annotations.jsonl").write_text("".join(entry.line() + "\n" for entry in entries))
    return PinnedDataset(name="shapes", version=f"{next(numbers):032x}.dir", folder=str(folder))


def planned(dataset: PinnedDataset, name: str = "", app: str = "", **given: object) -> TrainingPlan:
    """A plan for the smallest network of the dataset's task, under a name that no other test has."""
    detects = dataset.open().task == "detection"
    smallest = {"template": "fcos_light", "image_size": 64} if detects else {"template": "resnet18", "image_size": 32}
    checked = parameters(smallest | {"epochs": 1, "batch_size": 4} | given)
    return plan_training(dataset, checked, name or f"shapes-{next(numbers)}", app)


def registered(plan: TrainingPlan, change: Callable[[nn.Module], object] | None = None) -> Version:
    """A version with the weights its network starts from, or what `change` makes of them; nothing is trained."""
    return register.fn(plan, checkpoint(plan, change))


def champion(plan: TrainingPlan, change: Callable[[nn.Module], object] | None = None) -> Version:
    """Such a version as the champion of its name."""
    version = registered(plan, change)
    set_alias(version, "champion")
    return version


def planned_on(dataset: PinnedDataset, embedder: object, template: str, **given: object) -> TrainingPlan:
    """A plan to learn from a registered version's embeddings, under a name that no other test has."""
    checked = parameters({"template": template, "embedder": str(embedder)} | given)
    return plan_training(dataset, checked, f"shapes-{next(numbers)}")


def learned(plan: TrainingPlan) -> Version:
    """A version that was really trained: for what is fitted in less than a second."""
    return register.fn(plan, train.fn(plan))


def checkpoint(plan: TrainingPlan, change: Callable[[nn.Module], object] | None = None) -> Checkpoint:
    """As if the plan had been trained, with the weights its network starts from or what `change` makes of them."""
    run = start_run(plan, work_folder(plan))
    given = plan.parameters
    torch.manual_seed(given.seed)
    concepts = len(plan.opened().concepts)
    network = networks.build(given.template, concepts, image_size=given.image_size, options=given.network_options)
    with torch.no_grad():
        (change or bool)(network)
    weights = work_folder(plan) / "best.safetensors"
    save_file(network.state_dict(), weights)
    return Checkpoint(weights=str(weights), run=run, monitored="val_accuracy", best=0.5, epochs=1, seconds=1.0)


def predicted(
    version: Version, paths: Sequence[object], folder: Path, threshold: float | None = None, draw: bool = False
) -> dict:
    """A prediction's steps, into a folder that is its own, without a Prefect server."""
    return answered(single(version, threshold), paths, folder, draw)


def answered(job: Job, paths: Sequence[object], folder: Path, draw: bool = False, **more: object) -> dict:
    """The steps of any job, a workflow's as well."""
    inputs = Inputs(paths=tuple(map(str, paths)), **more)
    found, rejected = parts(inputs)
    begun(job, inputs, found, draw)
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    return gather.fn(job, [predict_shard.fn(job, part, inputs, folder, draw) for part in found], rejected, folder)


def always(label: int) -> Callable[[nn.Module], None]:
    """A classifier that answers one concept, whatever it sees."""

    def change(network: nn.Module) -> None:
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.bias[label] = 3.0

    return change


def lively(network: nn.Module) -> None:
    """A detector that finds a lot: one fresh from its builder starts with biases that make it sure of nothing."""
    for name, tensor in network.named_parameters():
        if name.endswith("bias"):
            tensor.clamp_(min=-1.0)
