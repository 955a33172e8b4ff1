"""From a graph to a plan: every wire checked against what both its ends say, every fault in one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ..faults import Fault, choices, short
from ..operators import OPERATORS
from ..operators.operator import AS, Names, Operator, Port
from .graph import PICTURE, Graph, Node
from .plan import Plan, Signature, Step, ordered

MODEL_PORTS = {"image": Port(("image", "images"))}
TOLD = 100  # faults in one answer
MODEL_PARAMS = ("threshold",)


@dataclass
class _Checked:
    """What is known while a graph is checked: faults, the nodes by id, and each node's type and concepts."""

    graph: Graph
    signatures: Mapping[str, Signature | str]
    faults: list[str]
    nodes: dict[str, Node] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=lambda: {PICTURE: PICTURE})  # "": not known, for a fault before it
    concepts: dict[str, Names] = field(default_factory=lambda: {PICTURE: ()})
    rows: dict[str, str] = field(default_factory=lambda: {PICTURE: ""})  # as `Operator.misfits` is told of them
    followed: set[str] = field(default_factory=set)  # nodes whose crops are of regions that have ids


def plan(graph: Graph, signatures: Mapping[str, Signature | str], where: str = "", faults: Sequence[str] = ()) -> Plan:
    """The graph as steps in an order in which they can run.

    signatures: of each model the nodes name, or the sentence that says why there is none.
    where: the file, for the message.  faults: what `parse` found already.
    Raises Fault with every fault there is.
    """
    known = _Checked(graph, signatures, list(faults))
    _doubled(known)
    order = _ordered(known)
    steps = [step for node in order if (step := _step(node, known)) is not None]
    if known.faults:
        raise _together(where or graph.name, known.faults)
    return Plan(graph.name, tuple(steps))


def _together(where: str, faults: Sequence[str]) -> Fault:
    """One fault of several, a line each; of very many the first hundred."""
    count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
    told = [short(fault, 600) for fault in faults[:TOLD]]
    more = [f"and {len(faults) - TOLD} more"] if len(faults) > TOLD else []
    return Fault("\n  ".join([f"{where}: {count}", *told, *more]))


def _doubled(known: _Checked) -> None:
    for node in known.graph.nodes:
        if node.id in known.nodes:
            known.faults.append(f"{node.id}: two nodes have this id. Give one of them another")
        known.nodes.setdefault(node.id, node)


def _ordered(known: _Checked) -> list[Node]:
    """Each node after those that feed it, else in the file's order; what lies on a circle is told."""
    order, circles = ordered(known.nodes)
    for circle in circles:
        known.faults.append(f"the nodes go round in a circle: {' → '.join(circle)}")
        known.types.update(dict.fromkeys(circle, ""))
    return order


def _step(node: Node, known: _Checked) -> Step | None:
    known.types[node.id], known.concepts[node.id] = "", ()  # until it is found to be without fault
    count = len(known.faults)
    step = _model(node, known) if node.model else _operator(node, known)
    if step is None or len(known.faults) > count:
        return None
    known.types[node.id], known.concepts[node.id], known.rows[node.id] = step.gives, step.concepts, _rows(step, known)
    return step


def _rows(step: Step, known: _Checked) -> str:
    """The node whose rows an answer counts: of images by its own, of regions by their `parent`; empty where none."""
    if step.operator is None:
        return known.rows[step.wires["image"][0]]
    gives = step.operator.gives
    port = gives if gives in step.operator.takes else AS.get(gives, "")  # a tracker's regions keep their columns
    if step.gives == "images" and (not port or step.operator.picks):
        return step.node.id
    return known.rows[step.wires[port][0]] if port in step.wires else ""


def _model(node: Node, known: _Checked) -> Step | None:
    signature = known.signatures[node.model]
    for name in node.params:
        if name not in MODEL_PARAMS:
            known.faults.append(
                f"{node.id}.params.{short(name)}: no such parameter. {choices(str(name), MODEL_PARAMS)}"
            )
    least = node.params.get("threshold", 0.0)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        known.faults.append(f"{node.id}.params.threshold: a score from 0 to 1, got {short(least)!r}")
    wires = _wired(node, MODEL_PORTS, known)
    if isinstance(signature, str):
        known.faults.append(f"{node.id}: {signature}")
        return None
    taken = _types(wires.get("image", ()), known)
    if not taken or not taken[0]:
        return None
    gives, concepts = signature.gives, signature.concepts
    if taken[0] == "images":
        concepts = known.concepts[wires["image"][0]] if gives == "embeddings" else concepts
        # A crop's region keeps its id; what a detector finds anew in it has none.
        gives = "frames" if gives != "regions" and wires["image"][0] in known.followed else "regions"
    return Step(node, gives, concepts, wires, takes=taken[0], signature=signature)


def _operator(node: Node, known: _Checked) -> Step | None:
    kind = OPERATORS.get(node.operator)
    if kind is None:
        known.faults.append(f"{node.id}: no operator {short(node.operator)!r}. {choices(node.operator, OPERATORS)}")
        return None
    wires = _wired(node, kind.takes, known)
    operator = _parameters(node, kind, known)
    feeding = {port: _types(sources, known) for port, sources in wires.items()}
    missing = [name for name, port in kind.takes.items() if name not in wires and not port.optional]
    if operator is None or missing or not all(all(types) for types in feeding.values()):
        return None
    given = {
        port: tuple(dict.fromkeys(name for source in sources for name in known.concepts[source]))
        for port, sources in wires.items()
    }
    before = tuple(dict.fromkeys(name for names in given.values() for name in names))
    for name in operator.named():
        if name not in before:
            known.faults.append(
                f"{node.id}: nothing before it answers the concept {short(name)!r}. {choices(name, before)}"
            )
    connected = {port: [known.rows[source] for source in sources] for port, sources in wires.items()}
    known.faults += [f"{node.id}: {wrong}" for wrong in operator.misfits(connected)]
    if kind.gives in kind.takes:  # the type of that input, be it connected
        types = feeding.get(kind.gives, ())
        if not types:
            return None
        gives = types[0]
    else:
        gives = kind.gives
    sources = {source for each in wires.values() for source in each}
    if gives == "images" and (known.followed & sources or "frames" in _types(tuple(sources), known)):
        known.followed.add(node.id)
    return Step(node, gives, operator.concepts(given), wires, operator=operator)


def _parameters(node: Node, kind: type[Operator], known: _Checked) -> Operator | None:
    try:
        return kind(**{str(name): value for name, value in node.params.items()})
    except ValidationError as error:
        for each in error.errors():
            known.faults.append(f"{node.id}.params.{_sentence(kind, each)}")
    return None


def _sentence(kind: type[Operator], error: Any) -> str:
    """One of pydantic's errors, for a person."""
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{short(name)}: no such parameter. {choices(name, kind.model_fields)}"
    said = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"].lower()
    return f"{name}: {said}, got {short(error['input'])!r}" if name else said


def _types(sources: tuple[str, ...], known: _Checked) -> tuple[str, ...]:
    return tuple(known.types.get(source, "") for source in sources)


def _wired(node: Node, ports: Mapping[str, Port], known: _Checked) -> dict[str, tuple[str, ...]]:
    """For each port what feeds it: named ports first, then each other wire at the first free port that it fits."""
    wired: dict[str, tuple[str, ...]] = {}
    for wire in sorted(node.inputs, key=lambda wire: (not wire.port, not known.types.get(wire.node))):
        if wire.node not in known.types and wire.node not in known.nodes:
            every = [PICTURE, *(other for other in known.nodes if other != node.id)]
            known.faults.append(
                f"{node.id}: there is no node {short(wire.node)!r}. {choices(wire.node, every, 'There are')}"
            )
            known.types[wire.node] = ""
        given = known.types.get(wire.node, "")
        if wire.port and wire.port not in ports:
            known.faults.append(f"{node.id}.{short(wire.port)}: no such input. {choices(wire.port, ports)}")
            continue
        port = wire.port or _free(given, ports, wired)
        if not port and not given:  # what it is, its own fault says
            continue
        if not port:
            known.faults.append(_misfit(node, wire.node, given, ports, wired))
            continue
        if wire.node in wired.get(port, ()) or (wired.get(port) and not ports[port].many):
            known.faults.append(f"{node.id}.{port}: connected twice, to {wired[port][0]} and to {wire.node}")
            continue
        if given and not ports[port].takes(given):
            known.faults.append(
                f"{node.id}.{port}: needs {_either(ports[port])}, but {_called(wire.node)} gives {given}"
            )
        wired[port] = (*wired.get(port, ()), wire.node)
    for name, port_ in ports.items():
        if name not in wired and not port_.optional and not _unsure(node, known):
            fitting = [_called(id) for id, type in known.types.items() if type and port_.takes(type)]
            have = f" There is: {', '.join(fitting)}." if fitting else ""
            known.faults.append(f"{node.id}.{name}: not connected, needs {_either(port_)}.{have}")
    return wired


def _unsure(node: Node, known: _Checked) -> bool:
    """Whether one of its wires comes from a node that is at fault itself, and so might be what is missed."""
    return any(not wire.port and not known.types.get(wire.node, "") for wire in node.inputs)


def _free(given: str, ports: Mapping[str, Port], wired: Mapping[str, tuple[str, ...]]) -> str:
    """The first port that is free for an output of that type; of an unknown type the first free one."""
    exact = [name for name, port in ports.items() if given in port.types]
    other = [name for name, port in ports.items() if not given or AS.get(given) in port.types]
    return next((name for name in exact + other if ports[name].many or name not in wired), "")


def _misfit(
    node: Node, source: str, given: str, ports: Mapping[str, Port], wired: Mapping[str, tuple[str, ...]]
) -> str:
    """Why an output has no place at a node: its type, or that the place is taken."""
    taken = [name for name, port in ports.items() if given and port.takes(given)]
    if taken:
        return f"{node.id}.{taken[0]}: connected twice, to {wired[taken[0]][0]} and to {source}"
    needed = "; ".join(f"{name} needs {_either(port)}" for name, port in ports.items())
    return f"{node.id}: {_called(source)} gives {given}, which it has no input for: {needed}"


def _either(port: Port) -> str:
    return " or ".join(port.types)


def _called(node: str) -> str:
    return "inputs.image" if node == PICTURE else node
