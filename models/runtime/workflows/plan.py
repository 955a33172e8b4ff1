"""What a plan is: the steps of a workflow, each after what feeds it, with all that is known of them beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..operators.operator import Names, Operator
from .graph import Node


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of a model before any weight is loaded.

    version: `name/number`.  type: of the catalog.  gives: what it answers on one picture (`concepts`, `regions`,
    `embeddings`, `clusters`).  concepts: that it can answer.
    """

    version: str
    type: str
    gives: str
    concepts: Names


@dataclass(frozen=True, slots=True)
class Step:
    """A node, ready to be run.

    gives: the type of what it answers.  concepts: those it can answer.  wires: for each port the nodes that feed it.
    takes: of a model, the type it is fed (image or images).  operator: with its parameters; None: a model.
    signature: of a model.
    """

    node: Node
    gives: str
    concepts: Names
    wires: Mapping[str, tuple[str, ...]]
    takes: str = ""
    operator: Operator | None = None
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A workflow that was found to be without fault: its steps, each after what feeds it."""

    name: str
    steps: tuple[Step, ...]

    @property
    def versions(self) -> tuple[str, ...]:
        """The models in it, each once, in the order they are asked."""
        return tuple(dict.fromkeys(step.signature.version for step in self.steps if step.signature is not None))

    @property
    def in_order(self) -> bool:
        """Whether it follows frames one after the other."""
        return any(step.operator is not None and step.operator.in_order for step in self.steps)


def ordered(nodes: Mapping[str, Node]) -> tuple[list[Node], list[list[str]]]:
    """Each node after those that feed it, else in the order given; and every circle that stood in the way.

    nodes: by id.  A circle is its ids in the direction of the data, the first again at the end; its first node comes
    where it can, so that the others still have a place.
    """
    done: list[Node] = []
    circles: list[list[str]] = []
    left = dict(nodes)
    while left:
        ready = [node for node in left.values() if all(wire.node not in left for wire in node.inputs)]
        if not ready:
            circles.append(_circle(left))
        done.append(left.pop(ready[0].id if ready else circles[-1][0]))
    return done, circles


def _circle(left: Mapping[str, Node]) -> list[str]:
    """The ids along one circle of nodes of which none is ready."""
    path = [next(iter(left))]
    while True:
        before = next(wire.node for wire in left[path[-1]].inputs if wire.node in left)
        if before in path:
            return [before, *reversed(path[path.index(before) :])]
        path.append(before)
