"""`sightline run`: how runs of flows stand, what they said, and ending one."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import Json, answer, say, table

WHICH = "A run's name or id, or the start of its id"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "run", "Runs of flows.", COMMANDS)


def run_status(
    run: Annotated[str, Argument(help=f"{WHICH}; default: the newest ones.")] = "",
    limit: Annotated[int, Option(min=1, max=200, help="So many of the newest.")] = 10,
    json: Json = False,
) -> None:
    """How runs stand: queued, training with the time left, trained, failed with the reason; or all of one run."""
    if run:
        _one(run, json)
        return
    from tasks.runs import runs

    rows = runs(limit)
    # `run logs` takes the short id.
    lines = [row | {"id": row["id"][:8], "what": _what(row) or None} for row in rows]
    columns = ("name", "status", "what", "started", "seconds", "id")
    answer({"runs": rows}, json, table(lines, columns) if rows else "no run yet")


def _one(run: str, json: bool) -> None:
    from tasks.runs import describe

    row = describe(run)
    lines = [f"{row['name']}  {row['status']}", f"id       {row['id']}", f"flow     {row['flow']}"]
    if row["started"]:
        lines.append(f"started  {row['started']}, {row['seconds']:.0f} s")
    if what := _what(row):
        lines.append(f"{'progress' if row['progress'] else 'reason  '} {what}")
    if row["training"]:
        lines.append(f"training {row['training']}")
    lines += [f"  {name}: {value}" for name, value in row["parameters"].items()]
    steps = table(row["steps"]) if row["steps"] else ""
    answer(row, json, "\n".join([*lines, *(["", steps] if steps else [])]))


def _what(row: dict[str, Any]) -> str:
    """How far a training is, or why a run failed."""
    return row["progress"]["text"] if row["progress"] else row["reason"]


def run_logs(run: Annotated[str, Argument(help=f"{WHICH}; default: the newest.")] = "", json: Json = False) -> None:
    """What a run logged."""
    from tasks.runs import run_logs

    lines = run_logs(run)
    if json:
        answer({"run": run, "lines": lines}, True)
        return
    for line in lines:
        say(line)


def run_cancel(run: Annotated[str, Argument(help=f"{WHICH}.")], json: Json = False) -> None:
    """End a run: one of the worker's, or the command it runs in. Started again, a training goes on where it stopped."""
    from tasks.cancel import cancel

    done = cancel(run)
    answer(done, json, done["said"])


COMMANDS: Commands = {
    "status": (run_status, ""),
    "logs": (run_logs, ""),
    "cancel": (run_cancel, "3f2a91c0"),
}
