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


def test_of_two_thresholds_the_higher_one_counts():
    for one, other in ((0.0, 0.4), (0.4, 0.0), ("", 0.4)):
        given = node("d", params={"detection_threshold": one, "min_value": other})
        assert ours(given)["d"]["params"] == {"threshold": 0.4}
    assert ours(node("d", params={"min_value": None}))["d"]["params"] == {}
    assert faults_of(node("d", params={"detection_threshold": "high", "min_value": 2})) == [
        "d: detection_threshold: a score from 0 to 1, got 'high'",
        "d: min_value: a score from 0 to 1, got '2'",
    ]


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
    "comparison",
    ["GREATER_THAN", "GREATER_THAN_OR_EQUAL", ">=", None, "", "LESS_THAN", "LESS_THAN_OR_EQUAL", "EQUAL"],
)
def test_each_concept_has_its_threshold_and_the_others_fail(type, comparison):
    found = ours(node("t", ["d"], type, {"concept_threshold_type": comparison}, TWO))["t"]
    assert found["operator"] == type
    operator: Any = OPERATORS[type](**found["params"])
    assert operator.thresholds == {"hail": 0.8, "wind": 0.3}
    assert operator.type == PLATFORM.get(comparison or "", ">=")
    for score in (0, 0.5, 1):
        assert not operator.passes(np.array([score], np.float32), ("wear",)).any()


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
        "t: output_info.data.concepts: no value from 0 to 1 for hail. Give each its threshold",
    ]
    (fault,) = faults_of(node("t", ["d"], "region-thresholder", {}, [{"id": "hail", "value": 5}]))
    assert fault == "t: output_info.data.concepts: no value from 0 to 1 for hail. Give each its threshold"


@pytest.mark.parametrize("concepts", [None, []])
def test_a_thresholder_without_concepts_is_told(concepts):
    assert faults_of(node("t", ["d"], "concept-thresholder", {}, concepts)) == [
        "t: output_info.data.concepts: no concept. Name those that go on, each with its threshold, 0 to 1, as `value`"
    ]
    for own in ({"threshold": 0.4}, {"thresholds": {"hail": 0.4}}):  # ours, of who wrote it for a mapped operator
        assert ours(node("t", ["d"], "concept-thresholder", own, concepts))["t"]["params"] == own


def test_a_comparison_that_there_is_not_is_told_in_their_word():
    (fault,) = faults_of(node("t", ["d"], "region-thresholder", {"concept_threshold_type": "LESS"}, TWO))
    assert fault.startswith("t: concept_threshold_type: got 'LESS'. Known: EQUAL, GREATER_THAN, ")
    assert fault.endswith("Did you mean 'LESS_THAN'?")
    (fault,) = faults_of(node("c", ["d"], "image-crop", {"concept_threshold_type": "LESS_THAN"}))
    assert fault.startswith("c: concept_threshold_type has no equal here.")
    assert faults_of(node("d", params={"concept_threshold_type": "LESS_THAN"})) == [
        "d: concept_threshold_type has no equal here. Leave it out"
    ]


def test_a_counter_counts_the_concepts_named():
    named = [{"id": "c1", "name": "hail", "value": 1}, {"id": "wind"}]
    assert ours(node("n", ["d"], "object-counter", {}, named))["n"]["params"] == {"names": ["hail", "wind"]}
    assert faults_of(node("n", ["d"], "object-counter", {}, [*TWO, {"id": "wear", "value": 0}])) == [
        "n: output_info.data.concepts: a value for hail, wind, wear, which counts for nothing here. Leave it out, and "
        "put a thresholder before it where only sure ones may count"
    ]


def test_what_is_left_empty_is_left_out():
    assert ours(node("c", ["d"], "image-crop", {"margin": ""}))["c"]["params"] == {}
    assert ours(node("k", ["d"], "byte-tracker", {"min_confidence": None, "odd": []}))["k"]["params"] == {}


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


def test_an_aggregator_gets_what_the_model_was_asked_about():
    nodes = [node("a", [], TILES), node("s", ["a"], "random-sample"), node("d", ["s"]), node("m", ["d"], MERGE)]
    assert ours(*nodes)["m"]["inputs"] == ["d", "s"]
    found = {"m-d": Signature("d/1", "visual-detector", "regions", ("hail",))}
    assert len(plan(parse(translated({"workflow": {"id": "x", "nodes": nodes}}, {}, []), []), found).steps) == 4


def test_an_aggregator_without_tiles():
    tiles, told = (
        node("a", [], TILES),
        "m: no model before it is asked about tiles. Feed it with image-tiling-operator's",
    )
    merge = node("m", ["d"], MERGE)
    assert faults_of(tiles, node("d"), merge) == [told]  # not before it
    assert faults_of(tiles, node("m", ["a"], MERGE)) == [told]
    crops = [tiles, node("b", ["a"]), node("c", ["b"], "image-crop"), node("d", ["c"]), merge]
    assert faults_of(*crops) == [told]


def test_looking_for_tiles_ends_where_nodes_go_round():
    (fault,) = faults_of(node("a", [], TILES), node("d", ["a", "m"]), node("m", ["d"], MERGE))
    assert fault.startswith("m: no model before it is asked about tiles")


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


@pytest.mark.parametrize(("status", "sure"), [("SUCCESS", 0.4), ("PENDING", 1)])
def test_a_writer_drops_what_the_model_leaves_out_there(status, sure):
    model = node("d", params={"min_value": 0.4})
    mapped = node("s", ["d"], "concept-synonym-mapper", {"mapping": {"a": "b"}})
    found = ours(model, mapped, node("w", ["s"], "annotation-writer", {"annotation_status": f"ANNOTATION_{status}"}))
    assert found["w"]["params"] == {"sure": sure, "unsure": 0.4, "several": True}
    operator = WriteAnnotations(**found["w"]["params"])
    scores = Concepts(np.array([0.4, 0.39, 0.9], np.float32), ("a", "b", "c"))
    assert [row["concept"] for row in operator.labels(operator(found=scores))] == ["c", "a"]
    assert WriteAnnotations(**ours(node("w", [], "annotation-writer", {"annotation_status": status}))["w"]["params"])


def test_a_writer_of_only_so_many_concepts_is_told():
    model, other = node("d", params={"max_concepts": 3}), node("e")
    assert faults_of(model, other, node("w", ["d"], "annotation-writer", {"annotation_status": 24150})) == [
        "d: max_concepts has no equal here, and w would write more labels. Leave it out, and put a top-k operator "
        "after the model"
    ]
    ours(model, other, node("w", ["e"], "annotation-writer", {"annotation_status": 24150}))
    ours(model, node("w", ["d"], "annotation-writer"))


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


@pytest.mark.parametrize("type", ["image-align", "input-filter", "barcode-operator", "isolation-operator", "odd"])
def test_a_type_that_nothing_is_near_has_to_be_mapped(type):
    given = node("t", ["d"], type)
    assert faults_of(given) == [
        f"t: there is no {type} here. In the mapping file `m-t` may be what comes near it: a model or an operator"
    ]
    assert ours(given, **{"m-t": "roofs@champion"})["t"]["model"] == "roofs@champion"


@pytest.mark.parametrize("type", ["visual-classifier", "embedding-classifier", "visual-segmenter", ""])
def test_a_models_type_is_its_models_affair(type):
    assert ours(node("t", [], type))["t"]["model"] == "m-t"


def test_a_mapped_id_wins_over_what_it_says():
    crop = {"id": "c", "model": {"model_id": "margin-110-image-crop"}}
    assert ours(crop, **{"margin-110-image-crop": "roofs@champion"})["c"]["model"] == "roofs@champion"
    assert ours(crop, **{"margin-110-image-crop": "image-crop"})["c"]["params"] == {"margin": 1.1}


def test_a_mapped_operators_parameters_are_called_as_ours():
    given = node("t", ["d"], params={"concept_threshold_type": "LESS_THAN"}, concepts=TWO)
    params = ours(given, **{"m-t": "region-thresholder"})["t"]["params"]
    assert params == {"thresholds": {"hail": 0.8, "wind": 0.3}, "rest": "drop", "type": "LESS_THAN"}


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


KEYS = "Known: app_id, description, model_id, model_type_id, model_version_id, name, output_info, user_id."


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"node_input": [{"node_id": "c"}]},
            "node_input: no such key. Known: id, model, node_inputs, suppress_output.",
        ),
        ({"inputs": ["c"]}, "inputs: no such key. Known: id, model, node_inputs, suppress_output."),
        ({"model": {"model_id": "m", "params": {"min_value": 0.9}}}, f"model.params: no such key. {KEYS}"),
        ({"model": {"model_id": "m", "output_inf": {"data": {}}}}, f"model.output_inf: no such key. {KEYS}"),
        ({"model": {"model_id": "m", "output_info": [{"params": {}}]}}, "output_info: a mapping, got"),
        ({"model": {"model_id": "m", "output_info": {"params": 7}}}, "output_info.params: a mapping, got '7'"),
        ({"model": {"model_id": "m", "output_info": {"parms": {"a": 1}}}}, "output_info.parms: no such key. Known: da"),
        (
            {"model": {"model_id": "m", "output_info": {"data": {"concept": ["a"]}}}},
            "output_info.data.concept: no such",
        ),
    ],
)
def test_what_stands_where_nothing_is_looked_for_is_told(change, told):
    (fault,) = faults_of({"id": "d"} | change)
    assert fault.startswith(f"d: {told}")


def test_whose_a_model_is_may_be_said():
    theirs = {"model_id": "m", "model_version_id": "1", "user_id": "u", "app_id": "a", "description": "of roofs"}
    assert ours({"id": "d", "model": theirs, "suppress_output": False})["d"]["model"] == "m"


def test_a_concept_has_one_threshold():
    twice = [{"id": 1, "value": 0.9}, {"name": "1", "value": 0.1}]
    assert faults_of(node("t", ["d"], "region-thresholder", {}, twice)) == [
        "t: output_info.data.concepts: 1 stands twice. Keep one of them"
    ]
    for name, value in (("threshold", 0.9), ("thresholds", {"wear": 0.3}), ("rest", "compare")):
        assert faults_of(node("t", ["d"], "region-thresholder", {name: value}, TWO)) == [
            f"t: {name}: their concepts have thresholds of their own, and all others fail there. Leave it out"
        ]


@pytest.mark.parametrize("order", [["d", "e"], ["e", "d"]])
def test_a_writer_behind_several_models_takes_their_threshold_where_it_is_one(order):
    merge, writer = node("m", order, "merge"), node("w", ["m"], "annotation-writer", {"annotation_status": "SUCCESS"})
    d, e = node("d", params={"min_value": 0.3}), node("e", params={"min_value": 0.8})
    (fault,) = faults_of(d, e, merge, writer, **{"m-m": "region-merge"})
    assert fault.startswith("w: it may write labels that are left out there: the models before it have different thre")
    assert sorted(fault.partition("(")[2].partition(")")[0].split(", ")) == ["d: 0.3", "e: 0.8"]
    e["model"]["output_info"]["params"]["min_value"] = 0.3
    assert ours(d, e, merge, writer, **{"m-m": "region-merge"})["w"]["params"]["unsure"] == 0.3


def test_what_aliases_would_make_long_is_told_short():
    long: list = []
    for _ in range(60):  # 2 ** 60 lists, written out
        long = [long, long]
    faults = faults_of(
        {"id": "a", "model": {"model_id": long, "model_type_id": long}},
        node("w", ["a"], "annotation-writer", {"annotation_status": long}),
        node("d", params={"min_value": long, "max_concepts": long}),
        node("e", params={"max_concepts": 3}) | {"id": long},
        node("t", ["d"], "region-thresholder", {"concept_threshold_type": long}, [{"id": "x", "value": long}]),
    )
    assert [fault.split(", got")[0] for fault in faults][:4] == [
        "a: model_id: a text or a number",
        "a: model_type_id: a text or a number",
        "w: annotation_status: a text or a number",
        "d: min_value: a score from 0 to 1",
    ]
    assert max(map(len, faults)) < 400
