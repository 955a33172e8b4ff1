"""`sightline template` and `sightline type`: what can be trained, and with which parameters."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import yaml
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import Json, answer, say, table

EMPTY = " Empty: the template's own."  # of a form's field, which a file has filled in
LISTED = 20  # names in a line of help


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "type", "Model types: which question each answers.", {"list": (list_types, "")})
    add(app, "template", "What can be trained: architectures with their defaults.", TEMPLATE)


def list_types(json: Json = False) -> None:
    """The model types there are: the question that each answers, and its templates, the recommended one first."""
    from models.catalog import TYPES, names

    rows = [{"type": type, "answers": what, "templates": list(names(type))} for type, what in TYPES.items()]
    lines = [f"{row['type']}: {row['answers']}\n  {', '.join(row['templates']) or 'no template yet'}" for row in rows]
    answer({"types": rows}, json, "\n".join(lines))


def list_templates(
    type: Annotated[str, Argument(help="A model type: `sightline type list`.")] = "",
    all: Annotated[bool, Option("--all", help="Also every other network that torchvision has.")] = False,
    json: Json = False,
) -> None:
    """The templates there are, and what each is good for."""
    from models.catalog import TEMPLATES, every, names, template

    known = every(type) if all else names(type) if type else tuple(TEMPLATES)
    rows = [{"template": name, "type": template(name).type, "what": template(name).help} for name in known]
    answer({"templates": rows}, json, table(rows) if rows else f"no template is a {type} yet")


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
        say(f"  # {_help(schema[key])}{own}")
        say(f"  {key}: {yaml.safe_dump(value).splitlines()[0]}")


def _help(field: dict[str, Any]) -> str:
    """A parameter's line of help: where it takes more names than one reads, without them."""
    text = field["description"].removesuffix(EMPTY)
    if len(field.get("enum", ())) <= LISTED:
        return text
    return f"{text.rpartition(' [')[0]} [`sightline template list --all`]"


TEMPLATE: Commands = {
    "list": (list_templates, "visual-detector"),
    "show": (show_template, "fcos_light > train.yaml"),
}
