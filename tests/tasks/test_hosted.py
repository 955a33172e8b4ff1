"""The hosted platform's workflow files say the same in our words."""

from __future__ import annotations

import pytest

from models.runtime.workflows.graph import parse
from models.runtime.workflows.wiring import Signature, plan
from tasks.hosted import is_hosted, translated

KNOWN = {
    "faces@champion": Signature("faces/2", "visual-detector", "regions", ("face",)),
    "moods": Signature("moods/1", "visual-classifier", "concepts", ("glad", "sad")),
}
THEIRS = {
    "workflow": {
        "id": "Face-Sentiment",
        "nodes": [
            {"id": "face-det", "model": {"model_id": "face-detection", "model_version_id": "0" * 32, "user_id": "a"}},
            {
                "id": "crop",
                "model": {
                    "model_id": "mine",
                    "model_type_id": "image-crop",
                    "output_info": {"params": {"margin": 1.3}},
                },
                "node_inputs": [{"node_id": "face-det"}],
            },
            {"id": "sentiment", "model": {"model_id": "moods"}, "node_inputs": [{"node_id": "crop"}]},
        ],
    }
}


def test_a_crop_is_given_the_picture_it_looks_back_for():
    faults: list[str] = []
    graph = parse(translated(THEIRS, {"face-detection": "faces@champion"}), faults)
    assert faults == []
    found = plan(graph, KNOWN)
    assert found.name == "Face-Sentiment"
    assert [(step.node.id, step.gives) for step in found.steps] == [
        ("face-det", "regions"),
        ("crop", "images"),
        ("sentiment", "regions"),
    ]
    assert found.steps[1].operator.margin == 1.3  # type: ignore[union-attr]
    assert found.steps[1].wires == {"image": ("image",), "regions": ("face-det",)}


def test_their_public_crops_say_their_margin_in_their_name():
    row = translated(
        {"workflow": {"id": "x", "nodes": [{"id": "c", "model": {"model_id": "margin-110-image-crop"}}]}}, {}
    )
    assert row["workflow"]["nodes"][0] == {
        "id": "c",
        "operator": "image-crop",
        "params": {"margin": 1.1},
        "inputs": ["image"],
    }


def test_a_mapping_may_name_an_operator():
    nodes = [{"id": "t", "model": {"model_id": "their-tracker"}, "node_inputs": [{"node_id": "d"}]}]
    row = translated({"workflow": {"id": "x", "nodes": nodes}}, {"their-tracker": "byte-track"})
    assert row["workflow"]["nodes"][0]["operator"] == "byte-track"


def test_a_detectors_threshold_comes_along():
    model = {"model_id": "d", "output_info": {"params": {"detection_threshold": 0.4, "max_concepts": 20}}}
    row = translated({"workflow": {"id": "x", "nodes": [{"id": "d", "model": model}]}}, {})
    assert row["workflow"]["nodes"][0]["params"] == {"threshold": 0.4}


@pytest.mark.parametrize(
    ("row", "theirs"),
    [
        (THEIRS, True),
        ({"workflow": {"nodes": [{"id": "a", "model": "roofs", "node_inputs": []}]}}, True),
        ({"workflow": {"nodes": [{"id": "a", "model": "roofs", "inputs": ["image"]}]}}, False),
        ({"workflow": {"nodes": "x"}}, False),
        ({"workflow": None}, False),
        (None, False),
        ([], False),
    ],
)
def test_whose_form_it_is(row, theirs):
    assert is_hosted(row) is theirs


@pytest.mark.parametrize(
    "node", [None, 3, {"id": "a"}, {"id": "a", "model": {"output_info": 3}, "node_inputs": [None]}]
)
def test_odd_nodes_are_left_for_the_check_to_tell(node):
    faults: list[str] = []
    parse(translated({"workflow": {"id": "x", "nodes": [node]}}, {}), faults)
    assert faults
