"""`sightline run`: what flows did."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import Json, answer, say, table


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "run", "Runs of flows.", COMMANDS)


def run_status(
    limit: Annotated[int, Option(min=1, max=200, help="So many of the newest.")] = 10, json: Json = False
) -> None:
    """The newest runs and their states."""
    from tasks.runs import runs

    rows = runs(limit)
    short = [row | {"id": row["id"][:8]} for row in rows]  # `run logs` takes it so
    human = table(short, ("name", "state", "started", "seconds", "id")) if rows else "no run yet"
    answer({"runs": rows}, json, human)


def run_logs(
    run: Annotated[str, Argument(help="A run's name or id; default: the newest.")] = "", json: Json = False
) -> None:
    """What a run logged."""
    from tasks.runs import run_logs

    lines = run_logs(run)
    if json:
        answer({"run": run, "lines": lines}, True)
        return
    for line in lines:
        say(line)


COMMANDS: Commands = {"status": (run_status, ""), "logs": (run_logs, "")}
