"""`sightline app`: products, described in apps/*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import Json, answer, aside, table
from models.runtime.faults import Fault


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "app", "Products: apps/*.yaml.", COMMANDS)


def app_create(
    name: Annotated[str, Argument(help="Lower-case letters, digits and '-'.")],
    source: Annotated[str, Option(help="Folder with the labelled pictures.")] = "photos",
    template: Annotated[str, Option(help="`sightline template list`.")] = "fcos_light",
    json: Json = False,
) -> None:
    """Write apps/NAME.yaml, commented, and its nightly deployment into prefect.yaml."""
    from models.catalog import template as entry
    from tasks.app import create_app
    from tasks.nights import add_deployment

    entry(template)
    path = create_app(name, source, template)
    add_deployment(name, "0 2 * * *")
    answer({"app": name, "file": path}, json, f"{path}: edit it, then `sightline app check {name}`")


def app_check(name: Annotated[str, Argument(help="An app's name, or its file.")], json: Json = False) -> None:
    """Say whether an app's file is in order, and what it would do."""
    from models.catalog import template
    from tasks.app import app_path, read_app
    from tasks.plan import default_name

    app = read_app(name)
    given = app.parameters()
    model = app.model or default_name(app.dataset, template(given.template).type)
    enough = app.gate.min_improvement
    better = "better, beyond doubt," if enough is None else f"better by {enough:g}" if enough else "better"
    lines = [
        f"{app_path(name)} is in order. Every run would",
        f"  ingest   {app.place} as data/{app.dataset}",
        f"  train    {given.template}{_epochs(given)}, as the model {model}",
        f"  promote  it when its {app.gate.metric or 'headline metric'} is {better} than the champion's",
        f"  at       {app.schedule} (cron; UTC unless prefect.yaml names another time zone)",
    ]
    there = Path(app.place).exists()
    if not there:
        lines.append(f"Its source is not there yet: {app.place}. Until it is, every run fails.")
    found = app.model_dump(mode="json") | {"model": model, "source_exists": there}
    answer(found, json, "\n".join(lines))


def _epochs(given) -> str:
    """`, 60 epochs`; nothing of a training that has none."""
    epochs = getattr(given, "epochs", 0)
    return f", {epochs} epoch{'s' * (epochs > 1)}" if epochs else ""


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
    answer({"apps": rows}, json, table(rows) if rows else "none. `sightline app create NAME` makes one.")


COMMANDS: Commands = {"create": (app_create, "roofs"), "check": (app_check, "roofs"), "list": (app_list, "")}
