"""A workflow's graph to look at: as text for a terminal, as a picture for a page."""

from __future__ import annotations

from pathlib import Path

import networkx as nx

from models.runtime.faults import Fault, short
from models.runtime.workflows.graph import PICTURE
from models.runtime.workflows.plan import Plan, Step
from tasks.style import INK, PALE_INK, colour, paint_to

SUFFIXES = (".svg", ".png")
WIDE, HIGH = 3.1, 1.15  # inches from one node to the next
BENT = 0.2  # an arrow that goes past others, as a share of its length


def as_text(plan: Plan) -> str:
    """A line a node, in the order they run: what it is, what feeds it, what it gives."""
    rows = [(PICTURE, "the picture, or a frame of a video", "", PICTURE)]
    for step in plan.steps:
        fed = ", ".join(f"{port}: {' + '.join(sources)}" for port, sources in step.wires.items())
        rows.append((step.node.id, what(step), fed, step.gives))
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = []
    for id, kind, fed, gives in rows:
        arrow = f"← {fed}" if fed else ""
        lines.append(f"{id:<{wide[0]}}  {kind:<{wide[1]}}  {arrow:<{wide[2] + 2}}  → {gives}".rstrip())
    return "\n".join(lines)


def what(step: Step) -> str:
    """The version, or the operator with the parameters that were set."""
    given = step.operator.model_dump(exclude_defaults=True) if step.operator else step.node.params
    params = ", ".join(f"{name}={short(value, 24)}" for name, value in given.items())
    named = step.signature.version if step.signature else step.node.operator
    return f"{named} ({params})" if params else named


def draw_graph(plan: Plan, file: Path) -> Path:
    """The graph from left to right, as SVG or PNG by the file's suffix. Raises Fault for another one."""
    if file.suffix.lower() not in SUFFIXES:
        raise Fault(f"{file}: a graph is drawn as {' or '.join(SUFFIXES)}; name the file so")
    graph = nx.DiGraph()
    graph.add_node(PICTURE, title=PICTURE, under="picture or frame", tint=PALE_INK)
    for step in plan.steps:
        tint = colour(0) if step.signature else colour(2)
        graph.add_node(step.node.id, title=step.node.id, under=what(step), tint=tint)
        for port, sources in step.wires.items():
            for source in sources:
                graph.add_edge(source, step.node.id, port=port)
    for layer, nodes in enumerate(nx.topological_generations(graph)):
        for node in nodes:
            graph.nodes[node]["layer"] = layer
    return paint_to(file, *_painted(graph, plan))


def _painted(graph: nx.DiGraph, plan: Plan):
    """(size in inches, what paints it)."""
    places = nx.multipartite_layout(graph, subset_key="layer")
    layers = sorted({place[0] for place in places.values()})
    columns = {x: i for i, x in enumerate(layers)}
    gives = {PICTURE: PICTURE} | {step.node.id: step.gives for step in plan.steps}
    rows = {x: sorted((p[1] for p in places.values() if p[0] == x), reverse=True) for x in layers}
    most = max(len(column) for column in rows.values())
    at = {
        node: (columns[x] * WIDE, (rows[x].index(y) - (len(rows[x]) - 1) / 2) * HIGH) for node, (x, y) in places.items()
    }
    longest = max((at[target][0] - at[source][0] for source, target in graph.edges), default=0.0)
    above = BENT * longest / 2 if longest > WIDE * 1.01 else 0.0  # how high the arrow that goes farthest is bent
    deep = max(0.8, most * HIGH / 2 + 0.25)
    size = (len(layers) * WIDE, 2 * deep + above)  # an inch of the figure is one of the layout

    def paint(figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-WIDE / 2, (len(layers) - 0.5) * WIDE)
        axes.set_ylim(deep, -deep - above)
        axes.axis("off")
        boxes = {node: _box(axes, at[node], facts) for node, facts in graph.nodes(data=True)}
        figure.draw_without_rendering()  # only then a box knows how large its text is
        for source, target in graph.edges:
            _arrow(axes, (at[source], at[target]), (boxes[source], boxes[target]), gives[source])

    return size, paint


def _box(axes, place: tuple[float, float], facts: dict):
    """The box around a node's name and what it is, drawn."""
    under = short(facts["under"], 34)
    text = axes.text(
        *place,
        f"{short(facts['title'], 24)}\n{under}",
        ha="center",
        va="center",
        fontsize=8.5,
        color="white",
        linespacing=1.5,
        bbox={"boxstyle": "round,pad=0.5", "facecolor": facts["tint"], "edgecolor": "none"},
        zorder=3,
    )
    return text.get_bbox_patch()


def _arrow(axes, places: tuple, boxes: tuple, gives: str) -> None:
    """From one box to the edge of another; over what lies between."""
    start, end = places
    bent = 0.0 if abs(end[0] - start[0]) <= WIDE * 1.01 else BENT
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "->",
            "color": INK,
            "connectionstyle": f"arc3,rad={-bent}",
            "patchA": boxes[0],
            "patchB": boxes[1],
            "shrinkA": 2,
            "shrinkB": 2,
        },
        zorder=2,
    )
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - 0.12)
    if bent == 0.0:
        axes.text(*middle, gives, ha="center", va="bottom", fontsize=7.5, color=INK)
