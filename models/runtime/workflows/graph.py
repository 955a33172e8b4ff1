"""A workflow as it is written: nodes and what feeds them, read from plain dicts and lists, each fault in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..faults import choices, short

PICTURE = "image"  # what a node names to take the picture the workflow is given
NODE_KEYS = ("id", "model", "operator", "params", "inputs")
MOST = 1000  # nodes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Wire:
    """What feeds a node: a node's id, or PICTURE; into the port named, or (empty) the first free one that it fits."""

    node: str
    port: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One step. Either model (a name, name@alias or name/number) or operator is set; params are its own."""

    id: str
    model: str = ""
    operator: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Wire, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow's name and its nodes, in the order of the file."""

    name: str
    nodes: tuple[Node, ...]

    def to_row(self) -> dict[str, Any]:
        """The same as `parse` takes, every port named that was."""
        return {"workflow": {"name": self.name, "nodes": [_row(node) for node in self.nodes]}}


def _row(node: Node) -> dict[str, Any]:
    what = {"model": node.model} if node.model else {"operator": node.operator}
    ported: dict[str, list[str]] = {}
    for wire in node.inputs:
        ported.setdefault(wire.port, []).append(wire.node)
    inputs: Any = ported.get("", []) if set(ported) <= {""} else ported
    return {"id": node.id, **what, "params": node.params, "inputs": inputs}


def parse(row: Any, faults: list[str]) -> Graph:
    """The graph in `{workflow: {name, nodes: [{id, model | operator, params, inputs}]}}`.

    inputs: a list of node ids (each goes where it fits), or `{port: id or [ids]}`; `image` is the workflow's picture.
    Whatever is wrong becomes a line of `faults`; what could be read is returned all the same.
    """
    inner = row.get("workflow") if isinstance(row, dict) else None
    if not isinstance(inner, dict):
        faults.append("a workflow file begins with `workflow:` and has below it `name` and `nodes`")
        return Graph("", ())
    _unknown_keys("workflow", row, ("workflow",), faults)
    _unknown_keys("workflow", inner, ("name", "nodes"), faults)
    name, nodes = inner.get("name"), inner.get("nodes")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        faults.append(f"workflow.name: letters, digits, `.`, `_` and `-` make a name, got {short(name)!r}")
        name = ""
    if not isinstance(nodes, list) or not nodes:
        faults.append(f"workflow.nodes: must be a list with a node or more, got {short(nodes)!r}")
        nodes = []
    if len(nodes) > MOST:
        faults.append(f"workflow.nodes: {len(nodes)} nodes, {MOST} is the most")
        nodes = []
    read = [_node(entry, place, faults) for place, entry in enumerate(nodes, 1)]
    return Graph(name, tuple(node for node in read if node is not None))


def _node(entry: Any, place: int, faults: list[str]) -> Node | None:
    given = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(entry, dict):
        faults.append(f"node {place}: a node is a mapping with `id`, got {short(entry)!r}")
        return None
    if not isinstance(given, str) or not NAME.fullmatch(given):
        faults.append(f"node {place}: letters, digits, `.`, `_` and `-` make its id, got {short(given)!r}")
        return None
    if given == PICTURE or given == "inputs":
        faults.append(f"{given}: a node cannot have this id: it is what the workflow's own picture is called")
        return None
    _unknown_keys(given, entry, NODE_KEYS, faults)
    model, operator = entry.get("model", ""), entry.get("operator", "")
    if bool(model) == bool(operator) or not isinstance(model or operator, str):
        faults.append(f"{given}: name either a model or an operator")
        return None
    params = entry.get("params") or {}
    if not isinstance(params, dict):
        faults.append(f"{given}.params: must be a mapping from parameters to values, got {short(params)!r}")
        params = {}
    return Node(given, model, operator, params, _inputs(given, entry.get("inputs") or [], faults))


def _inputs(node: str, given: Any, faults: list[str]) -> tuple[Wire, ...]:
    ported = given if isinstance(given, dict) else {"": given}
    wires = []
    for port, sources in ported.items():
        for source in sources if isinstance(sources, list) else [sources]:
            if not isinstance(source, str) or not source:
                faults.append(f"{node}.inputs: must name nodes, or `{PICTURE}`, got {short(source)!r}")
                continue
            wires.append(Wire(source.removeprefix("inputs."), short(port)))
    return tuple(wires)


def _unknown_keys(where: str, given: dict, known: tuple[str, ...], faults: list[str]) -> None:
    for key in given:
        if key not in known:
            faults.append(f"{where}.{short(key)}: no such key. {choices(short(key), known)}")
