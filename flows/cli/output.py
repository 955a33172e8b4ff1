"""What a command prints: one JSON object for scripts, or tables for people; all else on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from models.runtime.faults import Fault

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MODEL = "NAME (its champion, else the newest), NAME@alias or NAME/number."
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


def aside(text: str) -> None:
    """A line on standard error: progress and hints, never data."""
    sys.stderr.write(text + "\n")


def bold(text: str) -> str:
    """Text that stands out where a terminal shows it."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


def fail(words: str) -> NoReturn:
    """What is wrong, and exit code 1."""
    aside("\n".join(map(visible, f"error: {words}".split("\n"))))
    sys.exit(1)


def visible(text: str) -> str:
    """A line with its control characters written out: a file's or a picture's name must not steer the terminal."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def answer(value: Any, as_json: bool, human: str | None = None) -> None:
    """One value: as a JSON object where asked, else as the text for people (default: a line a key)."""
    plain = plainly(value)
    if as_json:
        say(json.dumps(plain, ensure_ascii=False, allow_nan=False, default=str))
    elif human is not None:
        say(human)
    else:
        for key, entry in plain.items():
            say(f"{key}: {entry}")


def plainly(value: Any) -> Any:
    """Dicts, lists and scalars of a dataclass, a pydantic model or a mapping; not-a-number as null."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plainly(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plainly(entry) for entry in value]
    if isinstance(value, float) and value != value:
        return None
    return str(value) if isinstance(value, Path) else value


def table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] | None = None, title: str = "") -> str:
    """Rows as an aligned table, numbers to the right; without the columns that no row has a value for."""
    from rich.console import Console
    from rich.table import Table

    given = list(columns or (rows[0] if rows else []))
    names = [name for name in given if any(row.get(name) is not None for row in rows)]
    digits = {name: _digits([row.get(name) for row in rows]) for name in names}
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        numeric = all(isinstance(row.get(name), int | float) or row.get(name) is None for row in rows)
        drawn.add_column(name, justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(row.get(name), digits[name]) for name in names))
    # A concept may be called `tool [left]` or `:smile:`: what is printed is what it is called.
    width = None if sys.stdout.isatty() else 240
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().rstrip("\n")


def _digits(column: Sequence[Any]) -> int:
    """Decimals of a column's numbers: four of fractions, one of seconds."""
    return 4 if all(abs(value) <= 1 for value in column if isinstance(value, float)) else 1


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def number(name: str, value: float) -> str:
    """A metric's value: a count as it is, a fraction with four decimals. `name` may have its split before it."""
    from tasks.metrics.compare import COUNTS

    return f"{value:.0f}" if name.split(".")[-1] in COUNTS else f"{value:.4f}"


def loading() -> None:
    """One line at once, for whoever waits at a terminal: what comes now imports large libraries."""
    if sys.stderr.isatty():
        aside("loading torch, MLflow and Prefect …")


def run(flow: Any, *given: Any, **named: Any) -> Any:
    """Run a flow against the local servers (started when they are not up) and answer what it returns."""
    from tasks.lost import watched
    from tasks.servers import ensure, uses_ours

    ensure(store=flow.name != "ingest")  # the one flow that can do without MLflow
    try:
        with watched(flow) if uses_ours() else nullcontext(flow) as ready:
            return ready(*given, **named)
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # Lightning's way to stop a training
            raise KeyboardInterrupt from None
        raise Fault(
            f"{flow.name}: code that it called ended the program (exit code {end.code}) before it was done"
        ) from None
