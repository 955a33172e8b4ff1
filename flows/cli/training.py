"""`sightline train` and `sightline template`: what a training can be told, and telling it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import Json, answer, loading, run, say, table
from flows.cli.path import told
from models.runtime.faults import Fault, choices
from tasks.parsed import parsed

KEYS = ("dataset", "name", "parameters")
EMPTY = " Empty: the template's own."  # of a form's field, which a file has filled in


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(epilog="Example: sightline train train.yaml    sightline train --dataset roofs --template fcos_light")(
        train
    )
    commands: Commands = {
        "list": (list_templates, "visual-detector"),
        "show": (show_template, "fcos_light > train.yaml"),
    }
    add(app, "template", "What can be trained: architectures with their defaults.", commands)


def train(
    file: Annotated[Path | None, Argument(help="train.yaml: dataset, name, parameters.")] = None,
    dataset: Annotated[str, Option(help="A dataset's name, or the folder of one checked out.")] = "",
    template: Annotated[str, Option(help="An architecture: `sightline template list`.")] = "",
    name: Annotated[str, Option(help="Of the model; default DATASET-classifier or DATASET-detector.")] = "",
    set: Annotated[list[str] | None, Option(help="key=value, over the file's; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Train a model on a dataset, register it, and measure it on the images held out."""
    given = read_file(file) if file else {}
    dataset = dataset or str(given.get("dataset") or "")
    name = name or str(given.get("name") or "")
    wanted = (given.get("parameters") or {}) | assignments(set or [])
    if template:
        wanted["template"] = template
    if file:
        _whole(file, dataset, wanted)
    elif not dataset or "template" not in wanted:
        raise typer.BadParameter("give a train.yaml, or --dataset and --template")
    from models.catalog import template as entry
    from models.parameters import parameters

    checked = parameters(wanted, str(file or "parameters"))
    loading()
    from flows.train import BY_TYPE

    done = run(BY_TYPE[entry(checked.template).type], dataset, checked, name)
    answer(done, json, told(done))


def read_file(path: Path) -> dict[str, Any]:
    """A train.yaml. Raises Fault that says what is wrong with it."""
    try:
        content = parsed(path.read_bytes())
    except OSError as error:
        raise Fault(
            f"{path}: {(error.strerror or 'unreadable').lower()}. `sightline template show NAME > {path}` makes one."
        ) from None
    except ValueError as error:
        raise Fault(f"{path}: not YAML ({error})") from None
    if not isinstance(content, dict):
        raise Fault(f"{path}: a training is a mapping of {', '.join(KEYS)}")
    for key in content:
        if key not in KEYS:
            raise Fault(f"{path}: no such key {key!r}. {choices(str(key), KEYS)}")
    if not isinstance(content.get("parameters") or {}, dict):
        raise Fault(f"{path}: parameters: a mapping is wanted (template: …, epochs: …), got {content['parameters']!r}")
    return content


def _whole(file: Path, dataset: str, wanted: dict[str, Any]) -> None:
    """Raises Fault when a file, with the options beside it, leaves out what no training can do without."""
    if not dataset:
        raise Fault(f"{file}: dataset is empty: fill it in, or add --dataset NAME")
    if "template" not in wanted:
        raise Fault(f"{file}: parameters has no template: fill it in, or add --template NAME")


def assignments(given: list[str]) -> dict[str, Any]:
    """`key=value` pairs, values read as YAML does. Raises BadParameter on anything else."""
    found = {}
    for pair in given:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"{pair!r}: write key=value", param_hint="--set")
        try:
            found[key.strip()] = parsed(value)
        except ValueError:
            raise typer.BadParameter(f"{pair!r}: the value is not YAML", param_hint="--set") from None
    return found


def list_templates(type: Annotated[str, Argument(help="A model type.")] = "", json: Json = False) -> None:
    """The templates there are, and what each is good for."""
    from models.catalog import TEMPLATES, names

    known = names(type) if type else tuple(TEMPLATES)
    rows = [{"template": name, "type": TEMPLATES[name].type, "what": TEMPLATES[name].help} for name in known]
    answer({"templates": rows}, json, table(rows))


def show_template(name: Annotated[str, Argument(help="A template's name.")], json: Json = False) -> None:
    """Every parameter of a template, with its range and a line of help: a train.yaml to start from."""
    from models.catalog import template
    from models.fields import reach
    from models.parameters import BY_TYPE

    entry = template(name)
    model = BY_TYPE[entry.type]
    defaults = model(template=name).model_dump(mode="json")
    schema = model.model_json_schema()["properties"]
    if json:
        fields = {key: {**schema[key], "default": value} for key, value in defaults.items()}
        answer({"template": name, "type": entry.type, "parameters": fields}, True)
        return
    say(f'# {entry.help}\ndataset: \n# In the registry; empty: DATASET-{entry.type.removeprefix("visual-")}.\nname: ""')
    say("parameters:")
    for key, value in defaults.items():
        limits = entry.limits.get(key)
        own = f" {name} takes {reach(limits)}." if limits else ""
        say(f"  # {schema[key]['description'].removesuffix(EMPTY)}{own}")
        say(f"  {key}: {yaml.safe_dump(value).splitlines()[0]}")
