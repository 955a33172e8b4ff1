"""A workflow's file is read without believing any of it, and comes back from its own form the same."""

from __future__ import annotations

import pytest

from models.runtime.workflows.graph import Node, Wire, parse

NODE = {"id": "find", "model": "roofs", "inputs": ["image"]}


def read(*nodes: object, **more: object):
    faults: list[str] = []
    return parse({"workflow": {"name": "roofs", "nodes": list(nodes), **more}}, faults), faults


def test_a_graph_is_what_its_file_says():
    crop = {
        "id": "crops",
        "operator": "image-crop",
        "params": {"margin": 2},
        "inputs": {"image": "inputs.image", "regions": ["find"]},
    }
    graph, faults = read(NODE, crop)
    assert faults == []
    assert graph.nodes == (
        Node("find", model="roofs", inputs=(Wire("image"),)),
        Node(
            "crops",
            operator="image-crop",
            params={"margin": 2},
            inputs=(Wire("image", "image"), Wire("find", "regions")),
        ),
    )


def test_it_comes_back_from_its_own_form():
    graph, _ = read(NODE, {"id": "crops", "operator": "image-crop", "inputs": {"image": "image", "regions": "find"}})
    assert parse(graph.to_row(), []) == graph


@pytest.mark.parametrize("inputs", ["image", ["image"], "inputs.image"])
def test_one_input_may_stand_alone(inputs):
    graph, faults = read(NODE | {"inputs": inputs})
    assert (graph.nodes[0].inputs, faults) == ((Wire("image"),), [])


@pytest.mark.parametrize("row", [None, [], "text", 3, {}, {"workflow": None}, {"workflow": [NODE]}])
def test_what_is_no_workflow_is_told(row):
    faults: list[str] = []
    assert parse(row, faults).nodes == ()
    assert faults == ["a workflow file begins with `workflow:` and has below it `name` and `nodes`"]


@pytest.mark.parametrize(
    ("node", "fault"),
    [
        ("find", "node 1: a node is a mapping with `id`, got 'find'"),
        ({"model": "roofs"}, "node 1: letters, digits, `.`, `_` and `-` make its id, got 'None'"),
        ({"id": "a b", "model": "roofs"}, "node 1: letters, digits, `.`, `_` and `-` make its id, got 'a b'"),
        ({"id": 7, "model": "roofs"}, "node 1: letters, digits, `.`, `_` and `-` make its id, got '7'"),
        ({"id": "../x", "model": "roofs"}, "node 1: letters, digits, `.`, `_` and `-` make its id, got '../x'"),
        (
            {"id": "image", "model": "roofs"},
            "image: a node cannot have this id: it is what the workflow's own picture is called",
        ),
        ({"id": "a"}, "a: name either a model or an operator"),
        ({"id": "a", "model": "roofs", "operator": "draw"}, "a: name either a model or an operator"),
        ({"id": "a", "model": {"model_id": "x"}}, "a: name either a model or an operator"),
        (
            NODE | {"input": []},
            "find.input: no such key. Known: id, inputs, model, operator, params. Did you mean 'inputs'?",
        ),
        (NODE | {"params": [1]}, "find.params: must be a mapping from parameters to values, got '[1]'"),
        (NODE | {"inputs": [3]}, "find.inputs: must name nodes, or `image`, got '3'"),
        (NODE | {"inputs": [""]}, "find.inputs: must name nodes, or `image`, got ''"),
        (NODE | {"inputs": {"image": [["image"]]}}, "find.inputs: must name nodes, or `image`, got \"['image']\""),
    ],
)
def test_a_bad_node_is_told(node, fault):
    assert read(node)[1] == [fault]


@pytest.mark.parametrize("nodes", [None, [], {}, "find"])
def test_without_nodes_there_is_no_workflow(nodes):
    faults: list[str] = []
    parse({"workflow": {"name": "roofs", "nodes": nodes}}, faults)
    assert [fault.split(",")[0] for fault in faults] == ["workflow.nodes: must be a list with a node or more"]
