"""The hosted platform's workflow files say the same in our words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.runtime.faults import Fault
from models.runtime.operators import OPERATORS
from models.runtime.operators.act import WriteAnnotations
from models.runtime.operators.filter import PLATFORM
from models.runtime.predictions import Concepts, Regions
from models.runtime.workflows.graph import parse
from models.runtime.workflows.plan import Signature
from models.runtime.workflows.wiring import plan
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
    graph = parse(translated(THEIRS, {"face-detection": "faces@champion"}, faults), faults)
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
        {"workflow": {"id": "x", "nodes": [{"id": "c", "model": {"model_id": "margin-110-image-crop"}}]}}, {}, []
    )
    assert row["workflow"]["nodes"][0] == {
        "id": "c",
        "operator": "image-crop",
        "params": {"margin": 1.1},
        "inputs": ["image"],
    }


def test_a_mapping_may_name_an_operator():
    nodes = [{"id": "t", "model": {"model_id": "their-tracker"}, "node_inputs": [{"node_id": "d"}]}]
    row = translated({"workflow": {"id": "x", "nodes": nodes}}, {"their-tracker": "byte-track"}, [])
    assert row["workflow"]["nodes"][0]["operator"] == "byte-track"


def node(id, before=(), type="", params=None, concepts=None):
    """A node as the platform writes it. before: the ids it comes after."""
    info = {"params": params or {}} | ({"data": {"concepts": concepts}} if concepts is not None else {})
    model = {"model_id": f"m-{id}", "model_type_id": type, "output_info": info}
    return {"id": id, "model": model, "node_inputs": [{"node_id": each} for each in before]}


def ours(*nodes, **models):
    """The same nodes in our words, by id."""
    faults: list[str] = []
    row = translated({"workflow": {"id": "x", "nodes": list(nodes)}}, models, faults)
    assert faults == []
    return {each["id"]: each for each in row["workflow"]["nodes"]}


def faults_of(*nodes, **models):
    faults: list[str] = []
    translated({"workflow": {"id": "x", "nodes": list(nodes)}}, models, faults)
    return faults


@pytest.mark.parametrize("name", ["detection_threshold", "min_value"])
def test_a_models_threshold_comes_along(name):
    given = node("d", params={name: 0.4, "max_concepts": 20, "select_concepts": []})
    assert ours(given)["d"] == {"id": "d", "model": "m-d", "params": {"threshold": 0.4}, "inputs": ["image"]}


def test_what_a_model_alone_knows_there_is_told():
    given = node("d", params={"select_concepts": ["a"], "sample_ms": 500, "odd": 0}, concepts=[{"id": "hail"}])
    assert faults_of(given) == [
        "d: select_concepts has no equal here. Leave it out, and put a select-concepts operator after the model",
        "d: sample_ms has no equal here. Leave it out, and give `--fps` when the workflow is run",
        "d: odd has no equal here. Leave it out",
        "d: output_info.data.concepts has no equal here. Leave it out, and put a select-concepts operator where only "
        "some may go on",
    ]


TWO = [{"id": "c1", "name": "hail", "value": 0.8}, {"id": "wind", "value": 0.3}]


@pytest.mark.parametrize("type", ["region-thresholder", "concept-thresholder"])
@pytest.mark.parametrize(
    ("comparison", "rest"),
    [
        ("GREATER_THAN", 1),
        ("GREATER_THAN_OR_EQUAL", 1),
        (">=", 1),
        (None, 1),
        ("LESS_THAN", 0),
        ("LESS_THAN_OR_EQUAL", 0),
        ("EQUAL", 0),
    ],
)
def test_each_concept_has_its_threshold_and_the_others_fail(type, comparison, rest):
    params = {"concept_threshold_type": comparison} if comparison else {}
    found = ours(node("t", ["d"], type, params, TWO))["t"]
    assert found["operator"] == type
    operator: Any = OPERATORS[type](**found["params"])
    assert (operator.thresholds, operator.threshold) == ({"hail": 0.8, "wind": 0.3}, rest)
    assert operator.type == PLATFORM.get(comparison or "", ">=")


def test_regions_pass_by_their_concepts_thresholds():
    find = Signature("d/1", "visual-detector", "regions", ("hail", "wind", "wear"))
    row = translated(
        {"workflow": {"id": "x", "nodes": [node("d"), node("t", ["d"], "region-thresholder", {}, TWO)]}}, {}, []
    )
    step = plan(parse(row, []), {"m-d": find}).steps[1]
    scores = np.array([0.81, 0.79, 0.31, 0.29, 0.9], np.float32)
    boxes, labels = np.zeros((5, 4)), np.array([0, 0, 1, 1, 2])
    answer = step.operator(regions=Regions(boxes, scores, labels, find.concepts))  # type: ignore[misc]
    assert answer.scores.tolist() == pytest.approx([0.81, 0.31])


def test_concepts_that_nothing_before_it_knows_are_told_by_the_check():
    row = translated(
        {"workflow": {"id": "x", "nodes": [node("d"), node("t", ["d"], "region-thresholder", {}, TWO)]}}, {}, []
    )
    with pytest.raises(Fault, match=r"t: nothing before it answers the concept 'hail'\. Known: face\."):
        plan(parse(row, []), {"m-d": KNOWN["faces@champion"]})


def test_a_concept_without_value_or_name():
    odd = [{"id": "hail"}, {"value": 0.3}, "wind"]
    assert faults_of(node("t", ["d"], "region-thresholder", {}, odd)) == [
        "t: output_info.data.concepts: each has a name or an id, got \"{'value': 0.3}\"",
        "t: output_info.data.concepts: each has a name or an id, got 'wind'",
        "t: output_info.data.concepts: no value for hail. Give each its threshold, 0 to 1",
    ]


def test_a_counter_counts_the_concepts_named():
    assert ours(node("n", ["d"], "object-counter", {}, TWO))["n"]["params"] == {"names": ["hail", "wind"]}


def test_an_operator_for_all_concepts_takes_none():
    (fault,) = faults_of(node("k", ["d"], "byte-tracker", {"min_confidence": 0.3}, TWO))
    assert fault.startswith("k: output_info.data.concepts has no equal here. Leave it out, and put a select-concepts")


TILES, MERGE = "image-tiling-operator", "tiling-region-aggregator-operator"


def test_an_aggregator_finds_its_tiles():
    nodes = [node("a", [], TILES), node("d", ["a"]), node("s", ["d"], "random-sample"), node("m", ["s"], MERGE)]
    assert ours(*nodes)["m"]["inputs"] == ["s", "a"]
    found = {"m-d": Signature("d/1", "visual-detector", "regions", ("hail",))}
    row = translated({"workflow": {"id": "x", "nodes": nodes}}, {}, [])
    assert plan(parse(row, []), found).steps[3].wires == {"found": ("s",), "tiles": ("a",)}


def test_an_aggregator_whose_tiles_are_named_keeps_them():
    nodes = [node("a", [], TILES), node("b", [], TILES), node("d", ["a"]), node("m", ["d", "a"], MERGE)]
    assert ours(*nodes)["m"]["inputs"] == ["d", "a"]


def test_an_aggregator_with_the_tiles_of_none_or_of_several():
    away = node("away", [], TILES)  # not before it
    assert faults_of(away, node("d"), node("m", ["d"], MERGE)) == [
        "m: nothing before it makes tiles. Feed the model before it with image-tiling-operator's"
    ]
    both = [node("a", [], TILES), node("b", ["a"], TILES), node("d", ["b"]), node("m", ["d"], MERGE)]
    assert faults_of(*both) == [
        "m: a, b make tiles before it. Name in its node_inputs those it puts together",
    ]


def test_looking_for_tiles_ends_where_nodes_go_round():
    nodes = [node("a", [], TILES), node("d", ["a", "m"]), node("m", ["d", "m"], MERGE)]
    assert ours(*nodes)["m"]["inputs"] == ["d", "m", "a"]


@pytest.mark.parametrize(
    ("status", "verdicts"),
    [
        ("ANNOTATION_SUCCESS", ["accepted"] * 3),
        (24150, ["accepted"] * 3),
        ("ANNOTATION_PENDING", ["review"] * 3),
        ("24151", ["review"] * 3),
        ("ANNOTATION_AWAITING_REVIEW", ["review"] * 3),
        (24157, ["review"] * 3),
    ],
)
def test_a_status_says_where_all_labels_go(status, verdicts):
    given = {"annotation_status": status, "annotation_user_id": "", "annotation_info": {}, "task_id": None}
    operator = WriteAnnotations(**ours(node("w", ["d"], "annotation-writer", given))["w"]["params"])
    found = Concepts(np.array([0.01, 0.5, 0, 0.99], np.float32), ("a", "b", "c", "d"))
    assert [row["verdict"] for row in operator.labels(operator(found=found))] == verdicts


def test_a_writer_without_status_decides_as_ours_does():
    assert ours(node("w", ["d"], "annotation-writer"))["w"]["params"] == {}


def test_what_a_writer_alone_knows_there_is_told():
    given = {"annotation_status": 24159, "annotation_user_id": "me", "task_id": "t1", "annotation_info": {"a": 1}}
    has = "write-annotations has: several, sure, unsure."
    assert faults_of(node("w", ["d"], "annotation-writer", given)) == [
        "w: annotation_status: AWAITING_CONSENSUS_REVIEW has no equal here. There are: AWAITING_REVIEW, PENDING, "
        "SUCCESS. Did you mean 'AWAITING_REVIEW'?",
        f"w: annotation_user_id has no equal here. Leave it out: labels say which workflow they come from. {has}",
        "w: task_id has no equal here. Leave it out: what is to be reviewed lies in a folder of its own, review/. "
        + has,
        f"w: annotation_info has no equal here. Leave it out. {has}",
    ]


def test_synonyms_of_a_knowledge_graph_have_to_be_written_down():
    graph = {"knowledge_graph_id": "k"}
    (fault,) = faults_of(node("s", ["d"], "concept-synonym-mapper", graph))
    assert fault.startswith("s: concept-map: their synonyms are in an app's knowledge graph, not in the file.")
    written = graph | {"mapping": {"auto": "car"}}
    assert ours(node("s", ["d"], "concept-synonym-mapper", written))["s"]["params"] == {"mapping": {"auto": "car"}}


def test_a_type_that_is_not_here_names_what_comes_near():
    given = node("t", ["d"], "kalman-reid-tracker")
    assert faults_of(given) == [
        "t: there is no kalman-reid-tracker here. In the mapping file `m-t` may be byte-track, oc-sort or sort"
    ]
    assert ours(given, **{"m-t": "oc-sort"})["t"]["operator"] == "oc-sort"


def test_a_mapped_operators_parameters_are_called_as_ours():
    given = node("t", ["d"], params={"concept_threshold_type": "LESS_THAN"}, concepts=TWO)
    params = ours(given, **{"m-t": "region-thresholder"})["t"]["params"]
    assert params == {"thresholds": {"hail": 0.8, "wind": 0.3}, "threshold": 0, "type": "LESS_THAN"}


def test_all_faults_come_at_once():
    nodes = [node("a", params={"odd": 1}), node("m", ["a"], MERGE), node("b", params={"odd": 1})]
    assert [fault.split(":")[0] for fault in faults_of(*nodes)] == ["a", "b", "m"]


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
    "odd",
    [
        None,
        3,
        {"id": "a"},
        {"id": "a", "model": {"output_info": 3}, "node_inputs": [None]},
        {
            "id": ["a"],
            "model": {"model_id": "b", "output_info": {"data": 3, "params": [3]}},
            "node_inputs": [["a"], {}],
        },
        {"id": {}, "model": {"model_type_id": MERGE}, "node_inputs": {"node_id": {"a": 1}}},
    ],
)
def test_odd_nodes_are_left_for_the_check_to_tell(odd):
    faults: list[str] = []
    parse(translated({"workflow": {"id": "x", "nodes": [odd]}}, {}, faults), faults)
    assert faults
