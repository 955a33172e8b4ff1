"""The `sightline` command: each command a thin door to a flow or to a look at what there is.

Imports nothing heavy: torch, mlflow and prefect come in when a command needs them.
"""

import io
import sys
from typing import NoReturn

import typer

from flows.cli import app as product
from flows.cli import dataset, index, model, path, run, template, training, workflow
from flows.cli.output import aside, fail
from flows.quiet import in_words
from tasks.workspace import settle

app = typer.Typer(
    help="Train, measure, ship and chain image classifiers and object detectors on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (path, training, template, product, dataset, model, workflow, index, run):
    commands.add_to(app)


def main() -> None:
    """Run the command line: exit 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be UTF-8; in JSON this is an escape
    try:
        settle()
        app()
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as end:
        if end.code == 130:  # Typer's word for it
            _interrupted()
        raise
    except Exception as error:
        if words := in_words(error):
            fail(words)
        raise


def _interrupted() -> NoReturn:
    goes_on = sys.argv[1:2] in (["train"], ["pipeline"], ["demo"]) or sys.argv[1:3] == ["model", "rebuild"]
    aside("interrupted" + (": the same command goes on from where it stopped" if goes_on else ""))
    sys.exit(130)
