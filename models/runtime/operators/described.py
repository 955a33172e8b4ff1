"""Operators in words: what each does, takes and gives, and its parameters with default, range and help."""

from __future__ import annotations

from typing import Any

from ..faults import Fault, choices, short
from . import OPERATORS
from .operator import Operator, Port


def listed() -> list[dict[str, str]]:
    """A row for each operator."""
    return [
        {"operator": name, "takes": _takes(kind), "gives": kind.gives, "does": _does(kind)}
        for name, kind in OPERATORS.items()
    ]


def described(name: str) -> dict[str, Any]:
    """One operator and its parameters. Raises Fault for an unknown name."""
    kind = OPERATORS.get(name)
    if kind is None:
        raise Fault(f"there is no operator {short(name)!r}. {choices(name, OPERATORS)}")
    fields = kind.model_json_schema().get("properties", {})
    rows = [
        {"parameter": each, "default": field.get("default"), "range": span(field), "help": field.get("description", "")}
        for each, field in fields.items()
    ]
    return {"operator": name, "does": _does(kind), "takes": _takes(kind), "gives": kind.gives, "parameters": rows}


def span(field: dict[str, Any]) -> str:
    """A field's range in words, from its JSON schema; empty where any value of its type will do."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if field.get("type") == "boolean":
        return "true, false"
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    if low is None and high is None:
        return ""
    first = f"above {low}" if "exclusiveMinimum" in field else f"{low}"
    last = f"below {high}" if "exclusiveMaximum" in field else f"{high}"
    return f"{first} to {last}" if high is not None else f"{first} or more"


def _takes(kind: type[Operator]) -> str:
    return ", ".join(f"{name}: {_port(port)}" for name, port in kind.takes.items())


def _port(port: Port) -> str:
    return " | ".join(port.types) + "…" * port.many + "?" * port.optional


def _does(kind: type[Operator]) -> str:
    return " ".join((kind.__doc__ or "").split())
