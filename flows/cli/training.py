"""`sightline train`: one training, a sweep over its parameters, or its cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from flows.cli.output import Json, answer, loading, run, table
from flows.cli.path import told
from flows.cli.train_file import assignments, read_file, whole

EXAMPLES = """Example: sightline train train.yaml    sightline train --dataset roofs --template fcos_light
    sightline train train.yaml --sweep sweep.yaml    sightline train train.yaml --folds 5"""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command(epilog=EXAMPLES)(train)


def train(
    file: Annotated[Path | None, Argument(help="train.yaml: dataset, name, parameters.")] = None,
    dataset: Annotated[str, Option(help="A dataset's name, or the folder of one checked out.")] = "",
    template: Annotated[str, Option(help="An architecture: `sightline template list`.")] = "",
    name: Annotated[str, Option(help="Of the model; default DATASET-classifier, DATASET-detector and so on.")] = "",
    set: Annotated[list[str] | None, Option(help="key=value, over the file's; may be repeated.")] = None,
    sweep: Annotated[Path | None, Option(help="sweep.yaml: values to try; the best are trained with.")] = None,
    folds: Annotated[int, Option(min=0, max=50, help="Cross-validate in so many parts; registers nothing.")] = 0,
    devices: Annotated[int, Option(min=1, help="GPUs on each machine; without any, processes on its cores.")] = 1,
    nodes: Annotated[int, Option(min=1, help="Machines; each must see the same files.")] = 1,
    meet: Annotated[str, Option(help="host:port of the first machine, where there are several.")] = "",
    json: Json = False,
) -> None:
    """Train a model on a dataset, register it, and measure it on the images held out."""
    if (sweep and folds) or folds == 1:
        raise typer.BadParameter("a sweep, or 2 folds and more: one of them", param_hint="--folds")
    if devices * nodes > 1 and (sweep or folds):
        raise typer.BadParameter("a trial or a fold is trained on one device", param_hint="--devices, --nodes")
    given = read_file(file) if file else {}
    dataset = dataset or str(given.get("dataset") or "")
    name = name or str(given.get("name") or "")
    wanted = (given.get("parameters") or {}) | assignments(set or [])
    if template:
        wanted["template"] = template
    if file:
        whole(file, dataset, wanted)
    elif not dataset or "template" not in wanted:
        raise typer.BadParameter("give a train.yaml, or --dataset and --template")
    if sweep:
        _sweep(sweep, dataset, wanted, name, json)
    elif folds:
        _folds(folds, dataset, wanted, name, json)
    else:
        machines = {"devices": devices, "nodes": nodes, "meet": meet} if devices * nodes > 1 else {}
        _train(dataset, wanted, name, str(file or "parameters"), machines, json)


def _train(dataset: str, wanted: dict[str, Any], name: str, where: str, machines: dict[str, Any], json: bool) -> None:
    from models.catalog import template as entry
    from models.parameters import NetworkParameters, parameters

    checked = parameters(wanted, where)
    if machines and not isinstance(checked, NetworkParameters):
        raise typer.BadParameter("it is trained in seconds, on one device", param_hint="--devices, --nodes")
    loading()
    from flows.train import BY_TYPE

    done = run(BY_TYPE[entry(checked.template).type], dataset, checked, name, **machines)
    answer(done, json, told(done))


def _sweep(file: Path, dataset: str, wanted: dict[str, Any], name: str, json: bool) -> None:
    from models.parameters import parameters
    from tasks.search import read_search

    parameters(wanted)
    search = read_search(file, wanted)
    loading()
    from flows.sweep import sweep as flow

    done = run(flow, dataset, wanted, search, name)
    found = done.sweep
    best = ", ".join(f"{key} {value}" for key, value in found.best.items())
    first = f"best of {len(found.trials)} trials by {found.metric}: {best} ({found.value:.4f})"
    lines = [table(found.trials), "", first]
    if found.importance:
        lines.append(f"it depends on: {', '.join(f'{key} {share:.0%}' for key, share in found.importance.items())}")
    answer(done, json, "\n".join([*lines, "", told(done.evaluation)]))


def _folds(folds: int, dataset: str, wanted: dict[str, Any], name: str, json: bool) -> None:
    from models.parameters import parameters

    checked = parameters(wanted)
    loading()
    from flows.folds import folds as flow

    done = run(flow, dataset, checked.model_dump(mode="json"), folds, name)
    answer(done, json, f"{table(done.rows())}\n\n{done.sentence()}")
