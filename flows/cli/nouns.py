"""Looks at what there is: app, dataset, model, run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.output import MODEL, Json, aside, number, say, table
from flows.cli.output import answer as reply
from models.runtime.faults import Fault

HELD_OUT = ("accuracy", "macro_average_precision", "map_50", "map")  # of a model, in the list


def add_to(app: typer.Typer) -> None:
    """Add these groups."""
    for name, (words, commands) in GROUPS.items():
        group = typer.Typer(help=words, no_args_is_help=True)
        for command, (function, example) in commands.items():
            group.command(command, epilog=f"Example: sightline {name} {command} {example}".rstrip())(function)
        app.add_typer(group, name=name)


def app_create(
    name: Annotated[str, Argument(help="Lower-case letters, digits and '-'.")],
    source: Annotated[str, Option(help="Folder with the labelled pictures.")] = "photos",
    template: Annotated[str, Option(help="`sightline template list`.")] = "fcos_light",
    json: Json = False,
) -> None:
    """Write apps/NAME.yaml, commented, and its nightly deployment into prefect.yaml."""
    from models.catalog import template as entry
    from tasks.app import create_app
    from tasks.deployments import add_deployment

    entry(template)
    path = create_app(name, source, template)
    add_deployment(name, "0 2 * * *")
    reply({"app": name, "file": path}, json, f"{path}: edit it, then `sightline app check {name}`")


def app_check(name: Annotated[str, Argument(help="An app's name, or its file.")], json: Json = False) -> None:
    """Say whether an app's file is in order, and what it would do."""
    from models.catalog import template
    from tasks.app import app_path, read_app
    from tasks.plan import default_name

    app = read_app(name)
    given = app.parameters()
    model = app.model or default_name(app.dataset, template(given.template).type)
    better = f" by {app.gate.min_improvement:g}" if app.gate.min_improvement else ""
    lines = [
        f"{app_path(name)} is in order. Every run would",
        f"  ingest   {app.place} as data/{app.dataset}",
        f"  train    {given.template}, {given.epochs} epochs, as the model {model}",
        f"  promote  it when its {app.gate.metric or 'headline metric'} is better{better} than the champion's",
        f"  at       {app.schedule} (cron; UTC unless prefect.yaml names another time zone)",
    ]
    there = Path(app.place).exists()
    if not there:
        lines.append(f"Its source is not there yet: {app.place}. Until it is, every run fails.")
    found = app.model_dump(mode="json") | {"model": model, "source_exists": there}
    reply(found, json, "\n".join(lines))


def app_list(json: Json = False) -> None:
    """The apps there are."""
    from tasks.app import apps, read_app

    rows = []
    for name in apps():
        try:
            app = read_app(name)
        except Fault as fault:
            aside(str(fault))
            continue
        rows.append(
            {"app": app.name, "dataset": app.dataset, "template": app.training["template"], "cron": app.schedule}
        )
    reply({"apps": rows}, json, table(rows) if rows else "none. `sightline app create NAME` makes one.")


def dataset_list(json: Json = False) -> None:
    """The datasets there are, with their versions."""
    from tasks.data.dataset import datasets, named_dataset
    from tasks.data.version import versions

    known, here = versions(), datasets()
    rows = []
    for name in sorted({*known, *here}):
        opened, on_disk = None, "yes" if name in here else "no"
        try:
            opened = named_dataset(name) if name in here else None
        except Fault as fault:
            aside(str(fault))
            on_disk = "at fault"
        rows.append(
            {
                "dataset": name,
                "task": opened.task if opened else None,
                "images": len(opened) if opened else None,
                "concepts": len(opened.concepts) if opened else None,
                "on disk": on_disk,
                "version": known.get(name),
            }
        )
    reply(
        {"datasets": rows}, json, table(rows) if rows else "none. `sightline ingest SOURCE --dataset NAME` makes one."
    )


def dataset_show(name: Annotated[str, Argument(help="A dataset's name.")], json: Json = False) -> None:
    """Counts by split and concept, sizes of images and boxes, twins."""
    from tasks.data.dataset import named_dataset
    from tasks.data.health import describe
    from tasks.data.version import versions

    summary = describe(named_dataset(name, versions().get(name, "")))
    reply(summary, json, f"{summary.text()}\nversion {summary.version or f'none: data.dvc does not name {name}'}")


def dataset_check(name: Annotated[str, Argument(help="A dataset's name.")], json: Json = False) -> None:
    """What is wrong with a dataset, and whether its files are those of its version (exit code 1 when they are not)."""
    from tasks.data.dataset import named_dataset
    from tasks.data.health import problems
    from tasks.data.version import verify

    found = list(problems(named_dataset(name)))
    try:
        version = verify(name)
    except Fault as fault:
        found.append(str(fault))
        reply({"dataset": name, "dataset_version": None, "problems": found}, json, "\n".join(found))
        raise typer.Exit(1) from None
    human = "\n".join([*found, f"files on disk are version {version}"])
    reply({"dataset": name, "dataset_version": version, "problems": found}, json, human)


def dataset_export(
    name: Annotated[str, Argument(help="A dataset's name.")],
    folder: Annotated[Path, Argument(help="A new or empty folder.")],
    format: Annotated[str, Option(help="voc, coco, yolo, folder or csv.")] = "coco",
    json: Json = False,
) -> None:
    """Write a dataset in another format."""
    from tasks.data.dataset import named_dataset
    from tasks.data.formats import write

    written = write(named_dataset(name), format, folder)
    lost = [f"left out: {sentence}" for sentence in written.lost]
    reply(written, json, "\n".join([f"{written.files} files in {written.folder}", *lost]))


def dataset_checkout(
    version: Annotated[str, Argument(help="NAME@VERSION; six digits of the version will do.")],
    folder: Annotated[Path | None, Argument(help="A new folder; default: one of its own.")] = None,
    json: Json = False,
) -> None:
    """Bring an older version of a dataset into a folder of its own."""
    from tasks.data.checkout import checkout

    name, _, digest = version.partition("@")
    if not digest:
        raise typer.BadParameter(f"{version!r}: write NAME@VERSION", param_hint="VERSION")
    path = checkout(name, digest, folder).resolve()  # as `train` takes it, wherever it is called from
    how = f"train on it: sightline train --dataset {quote(str(path))} --template NAME"
    reply({"dataset": name, "folder": path}, json, f"{path}\n{how}")


def model_list(
    name: Annotated[str, Argument(help="A model's name; default: all.")] = "",
    json: Json = False,
) -> None:
    """Every registered version, with where it came from and its held-out numbers."""
    from tasks.registry import versions

    rows = [
        {
            "model": str(entry),
            "aliases": ", ".join(entry.aliases),
            "template": entry.template,
            "dataset": entry.dataset,
            "dataset version": entry.dataset_version[:8],
            **{key: entry.metrics.get(f"test.{key}") for key in HELD_OUT},
        }
        for entry in versions(name)
    ]
    reply({"models": rows}, json, table(rows) if rows else "none. `sightline train` makes one.")


def model_show(model: Annotated[str, Argument(help=MODEL)], json: Json = False) -> None:
    """One version: its card, its numbers, its training."""
    from tasks.registry import card, resolve

    version = resolve(model)
    described = card(version)
    reply({**version.model_dump(), "card": described}, json, _text(version, described))


def _text(version, described) -> str:
    lines = [f"{version}  {' '.join('@' + alias for alias in version.aliases)}".rstrip(), described.template]
    lines += [f"trained on {version.dataset} {version.dataset_version}", f"concepts: {', '.join(described.concepts)}"]
    lines += [f"  {name:<30}{number(name, value):>10}" for name, value in sorted(version.metrics.items())]
    lines += [f"  {name:<30}{value!s:>10}" for name, value in described.parameters.items()]
    return "\n".join([*lines, f'load it: mlflow.pyfunc.load_model("models:/{version}")'])


def run_status(
    limit: Annotated[int, Option(min=1, max=200, help="So many of the newest.")] = 10, json: Json = False
) -> None:
    """The newest runs and their states."""
    from tasks.runs import runs

    rows = runs(limit)
    reply({"runs": rows}, json, table(rows) if rows else "no run yet")


def run_logs(
    run: Annotated[str, Argument(help="A run's name or id; default: the newest.")] = "", json: Json = False
) -> None:
    """What a run logged."""
    from tasks.runs import run_logs

    lines = run_logs(run)
    if json:
        reply({"run": run, "lines": lines}, True)
        return
    for line in lines:
        say(line)


GROUPS: dict[str, tuple[str, dict[str, tuple[Callable[..., None], str]]]] = {
    "app": (
        "Products: apps/*.yaml.",
        {"create": (app_create, "roofs"), "check": (app_check, "roofs"), "list": (app_list, "")},
    ),
    "dataset": (
        "Datasets: data/*.",
        {
            "list": (dataset_list, ""),
            "show": (dataset_show, "roofs"),
            "check": (dataset_check, "roofs"),
            "export": (dataset_export, "roofs exported/ --format coco"),
            "checkout": (dataset_checkout, "roofs@3f2a91"),
        },
    ),
    "model": (
        "Models: the registry.",
        {"list": (model_list, ""), "show": (model_show, "roofs-detector@champion")},
    ),
    "run": ("Runs of flows.", {"status": (run_status, ""), "logs": (run_logs, "")}),
}
