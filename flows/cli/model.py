"""`sightline model`: what the registry holds."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import MODEL, Json, answer, loading, number, run, table


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "model", "Models: the registry.", COMMANDS)


def model_list(
    name: Annotated[str, Argument(help="A model's name; default: all.")] = "",
    dataset: Annotated[str, Option(help="Measured on this one; default: the one each was trained on.")] = "",
    by: Annotated[str, Option(help="A metric, the best first: accuracy, map_50, log_loss, …")] = "",
    split: Annotated[str, Option(help="train, val or test.")] = "test",
    type: Annotated[str, Option(help="Only this model type.")] = "",
    template: Annotated[str, Option(help="Only this template.")] = "",
    json: Json = False,
) -> None:
    """Every registered version, with where it came from and its held-out numbers; by a metric, a leaderboard."""
    from tasks.leaderboard import leaderboard

    rows = leaderboard(name, dataset, by, split, type, template)
    answer({"models": rows}, json, table(rows) if rows else "none. `sightline train` makes one.")


def model_show(model: Annotated[str, Argument(help=MODEL)], json: Json = False) -> None:
    """One version: its card, its numbers, its training."""
    from tasks.artifacts import card
    from tasks.registry import resolve

    version = resolve(model)
    described = card(version)
    answer({**version.model_dump(), "card": described}, json, _text(version, described))


def _text(version, described) -> str:
    lines = [f"{version}  {' '.join('@' + alias for alias in version.aliases)}".rstrip(), described.template]
    lines += [f"trained on {version.dataset} {version.dataset_version}", f"concepts: {', '.join(described.concepts)}"]
    lines += [f"  {name:<30}{number(name, value):>10}" for name, value in sorted(version.metrics.items())]
    lines += [f"  {name:<30}{value!s:>10}" for name, value in described.parameters.items()]
    return "\n".join([*lines, f'load it: mlflow.pyfunc.load_model("models:/{version}")'])


def model_promote(
    model: Annotated[str, Argument(help="NAME/number or NAME@alias, also of an older version.")], json: Json = False
) -> None:
    """Make a version the champion by hand. A night's better version takes its place again."""
    from tasks.registry import make_champion, resolve

    version = resolve(model)
    sentence = make_champion(version)
    answer({"champion": str(version), "why": sentence}, json, sentence)


def model_rebuild(
    model: Annotated[str, Argument(help="NAME/number.")],
    json: Json = False,
) -> None:
    """Train a version again from its own record, and say whether the bytes come out the same. Registers nothing."""
    loading()
    from flows.rebuild import rebuild as flow

    done = run(flow, model)
    answer(done, json, done.sentence())


COMMANDS: Commands = {
    "list": (model_list, ""),
    "show": (model_show, "roofs-detector@champion"),
    "promote": (model_promote, "roofs-detector/3"),
    "rebuild": (model_rebuild, "roofs-detector/3"),
}
