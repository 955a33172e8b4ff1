"""A noun of the command line: a word with commands under it, each with an example in its help."""

from __future__ import annotations

from collections.abc import Callable

import typer

Commands = dict[str, tuple[Callable[..., None], str]]


def add(app: typer.Typer, noun: str, words: str, commands: Commands) -> None:
    """Add a group. commands: by name, the function and what its example gives it."""
    group = typer.Typer(help=words, no_args_is_help=True)
    for command, (function, example) in commands.items():
        group.command(command, epilog=f"Example: sightline {noun} {command} {example}".rstrip())(function)
    app.add_typer(group, name=noun)
