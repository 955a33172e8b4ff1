"""`sightline workflow`: models and operators in a checked graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import Json, answer, aside, loading, run, table
from flows.cli.predicted import Draw, Every, Fps, Hosts, Listed, OfDataset, Output, Paths, Split, inputs_of, story

FILE = "A workflow's file, its name under workflows/, or a registered one."
MODELS = "For a hosted platform's workflow: a YAML file with `their-model-id: our-model@champion` a line."
PICTURE = Option(help="Also draw it into this file, .svg or .png.")


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "workflow", "Workflows: models and operators, chained.", COMMANDS)


def workflow_check(
    file: Annotated[str, Argument(help=FILE)],
    models: Annotated[str, Option(help=MODELS)] = "",
    json: Json = False,
) -> None:
    """Find every fault in a workflow, before any weight is loaded (exit code 1 when there is one)."""
    from tasks.workflows import job_of, planned

    plan = planned(job_of(file, models=models))
    nodes = [{"id": step.node.id, "gives": step.gives, "concepts": list(step.concepts)} for step in plan.steps]
    answer(
        {"workflow": plan.name, "nodes": nodes},
        json,
        f"{plan.name}: {len(nodes)} node{'s' * (len(nodes) != 1)}, no fault",
    )


def workflow_show(
    file: Annotated[str, Argument(help=FILE)],
    models: Annotated[str, Option(help=MODELS)] = "",
    picture: Annotated[Path | None, PICTURE] = None,
    json: Json = False,
) -> None:
    """The graph: a line a node, or a picture."""
    from tasks.graph_picture import as_text, draw_graph
    from tasks.workflows import job_of, planned

    job = job_of(file, models=models)
    plan = planned(job)
    drawn = [str(draw_graph(plan, picture))] if picture else []
    answer({**job.graph, "picture": drawn[0] if drawn else None}, json, "\n".join([as_text(plan), *drawn]))


def workflow_operators(
    name: Annotated[str, Argument(help="An operator's name; default: all.")] = "", json: Json = False
) -> None:
    """The operators there are; of one, every parameter with its default, range and help."""
    from models.runtime.operators.described import described, listed

    if not name:
        rows = listed()
        answer({"operators": rows}, json, table(rows))
        return
    told = described(name)
    head = f"{name}: {told['does']}\ntakes {told['takes']}; gives {told['gives']}"
    answer(told, json, "\n\n".join([head, table(told["parameters"]) if told["parameters"] else "no parameters"]))


def workflow_run(
    file: Annotated[str, Argument(help=FILE)],
    paths: Paths = None,
    output: Output = "",
    draw: Draw = False,
    list: Listed = "",
    dataset: OfDataset = "",
    split: Split = None,
    allow_host: Hosts = None,
    fps: Fps = None,
    every: Every = 1,
    models: Annotated[str, Option(help=MODELS)] = "",
    json: Json = False,
) -> None:
    """Answer for pictures and videos with every node: JSON Lines, Parquet and, with --draw, pictures and videos."""
    given = inputs_of(paths, list, dataset, split or "", allow_host, fps, every)
    loading()
    from flows.workflow import workflow as flow

    done = run(flow, file, [], output, draw, models, given)
    answer(done, json, story(done))
    if not done["images"]:
        raise typer.Exit(1)


def workflow_register(
    file: Annotated[str, Argument(help="A workflow's file, or its name under workflows/.")],
    name: Annotated[str, Option(help="Under which name; default: the workflow's own.")] = "",
    alias: Annotated[str, Option(help="The alias that the version gets.")] = "champion",
    models: Annotated[str, Option(help=MODELS)] = "",
    json: Json = False,
) -> None:
    """Put a workflow into the registry as one model, its parts pinned to versions and inside it."""
    loading()
    from flows.register import register_workflow as flow

    version = run(flow, file, name, alias, models)
    if version.aliases:
        aside(f"aliases: {', '.join(version.aliases)}")
    answer(version, json, f'{version}\nload it: mlflow.pyfunc.load_model("models:/{version}")')


COMMANDS: Commands = {
    "check": (workflow_check, "read-the-number"),
    "show": (workflow_show, "read-the-number --picture graph.svg"),
    "operators": (workflow_operators, "image-crop"),
    "run": (workflow_run, "read-the-number pictures/ --draw"),
    "register": (workflow_register, "read-the-number"),
}
