"""Every fault in a graph is found before any weight is loaded, all in one answer, each naming both ends."""

from __future__ import annotations

import pytest

from models.runtime.faults import Fault
from models.runtime.workflows.graph import parse
from models.runtime.workflows.plan import Plan, Signature
from models.runtime.workflows.wiring import plan

KNOWN: dict[str, Signature | str] = {
    "roof-detector": Signature("roof-detector/3", "visual-detector", "regions", ("hail", "wind")),
    "grader@champion": Signature("grader/2", "visual-classifier", "concepts", ("light", "heavy")),
    "look": Signature("look/1", "visual-embedder", "embeddings", ()),
    "groups": Signature("groups/1", "clusterer", "clusters", ("cluster 0", "cluster 1")),
    "roof-detecter": "there is no model 'roof-detecter'. Registered: roof-detector. Did you mean 'roof-detector'?",
}
FIND = {"id": "find", "model": "roof-detector", "inputs": ["image"]}
CROPS = {"id": "crops", "operator": "image-crop", "inputs": ["image", "find"]}
GRADE = {"id": "grade", "model": "grader@champion", "inputs": ["crops"]}


def planned(*nodes: object, name: object = "roofs") -> Plan:
    faults: list[str] = []
    graph = parse({"workflow": {"name": name, "nodes": list(nodes)}}, faults)
    return plan(graph, KNOWN, "roofs.yaml", faults)


def faults_of(*nodes: object, **named: object) -> list[str]:
    with pytest.raises(Fault) as caught:
        planned(*nodes, **named)
    first, *rest = str(caught.value).split("\n  ")
    assert first == f"roofs.yaml: {len(rest)} fault{'s' * (len(rest) > 1)}"
    return rest


def test_a_graph_without_fault_becomes_steps_with_types_and_concepts():
    found = planned(FIND, CROPS, GRADE)
    told = [(step.node.id, step.gives, step.concepts) for step in found.steps]
    assert told == [
        ("find", "regions", ("hail", "wind")),
        ("crops", "images", ("hail", "wind")),
        ("grade", "regions", ("light", "heavy")),
    ]
    assert [step.wires for step in found.steps] == [
        {"image": ("image",)},
        {"image": ("image",), "regions": ("find",)},
        {"image": ("crops",)},
    ]
    assert not found.in_order


@pytest.mark.parametrize(
    ("model", "whole", "of_crops"),
    [
        ("roof-detector", "regions", ("hail", "wind")),
        ("grader@champion", "concepts", ("light", "heavy")),
        ("look", "embeddings", ("hail", "wind")),  # a vector beside each region, which stays what it was
        ("groups", "clusters", ("cluster 0", "cluster 1")),
    ],
)
def test_a_model_asked_about_crops_answers_regions(model, whole, of_crops):
    one, other = {"id": "a", "model": model, "inputs": ["image"]}, {"id": "b", "model": model, "inputs": ["crops"]}
    steps = {step.node.id: step for step in planned(FIND, CROPS, one, other).steps}
    assert (steps["a"].gives, steps["b"].gives, steps["b"].concepts) == (whole, "regions", of_crops)


def test_nodes_may_stand_in_any_order():
    assert [step.node.id for step in planned(GRADE, CROPS, FIND).steps] == ["find", "crops", "grade"]


def test_wires_may_name_their_port():
    named = {"id": "crops", "operator": "image-crop", "inputs": {"regions": "find", "image": "inputs.image"}}
    assert planned(FIND, named).steps[1].wires == {"image": ("image",), "regions": ("find",)}


def test_an_unknown_node():
    lost = {"id": "crops", "operator": "image-crop", "inputs": ["image", "fnd"]}
    assert faults_of(FIND, lost) == ["crops: there is no node 'fnd'. There are: find, image. Did you mean 'find'?"]


def test_an_unknown_model_and_what_hangs_on_it_is_not_blamed():
    lost = FIND | {"model": "roof-detecter"}
    told = "there is no model 'roof-detecter'. Registered: roof-detector. Did you mean 'roof-detector'?"
    assert faults_of(lost, CROPS, GRADE) == [f"find: {told}"]


def test_an_unknown_operator():
    (fault,) = faults_of(FIND, CROPS | {"operator": "image-corp"}, GRADE)
    assert fault.startswith("crops: no operator 'image-corp'. Known: ")
    assert fault.endswith("Did you mean 'image-crop'?")


def test_a_wrong_type_names_both_ends():
    wrong = {"id": "crops", "operator": "image-crop", "inputs": {"image": "image", "regions": "image"}}
    assert faults_of(wrong) == ["crops.regions: needs regions, but inputs.image gives image"]


def test_a_wrong_type_without_a_port():
    wrong = {"id": "count", "operator": "object-counter", "inputs": ["grade"]}
    whole = GRADE | {"inputs": ["image"]}
    assert faults_of(whole, wrong)[0] == "count: grade gives concepts, which it has no input for: regions needs regions"


def test_a_missing_input_says_what_could_fill_it():
    assert faults_of(FIND, CROPS | {"inputs": ["find"]}) == [
        "crops.image: not connected, needs image. There is: inputs.image."
    ]
    assert faults_of({"id": "grade", "model": "grader@champion"}) == [
        "grade.image: not connected, needs image or images. There is: inputs.image."
    ]


def test_a_doubled_input():
    again = FIND | {"id": "again"}
    assert faults_of(FIND, again, CROPS | {"inputs": ["image", "find", "again"]}) == [
        "crops.regions: connected twice, to find and to again"
    ]
    both = CROPS | {"inputs": {"image": "image", "regions": ["find", "again"]}}
    assert faults_of(FIND, again, both) == ["crops.regions: connected twice, to find and to again"]
    assert faults_of(FIND | {"inputs": ["image", "image"]}) == ["find.image: connected twice, to image and to image"]


def test_an_input_that_takes_many_takes_each_once():
    again = FIND | {"id": "again"}
    merge = {"id": "merge", "operator": "region-merge", "inputs": ["find", "again"]}
    assert planned(FIND, again, merge).steps[2].wires == {"found": ("find", "again")}
    assert faults_of(FIND, again, merge | {"inputs": ["find", "find"]}) == [
        "merge.found: connected twice, to find and to find"
    ]


def test_an_unknown_input():
    assert faults_of({"id": "grade", "model": "grader@champion", "inputs": {"imge": "image"}}) == [
        "grade.imge: no such input. Known: image. Did you mean 'image'?",
        "grade.image: not connected, needs image or images. There is: inputs.image.",
    ]


def test_a_cycle_is_shown_in_the_direction_of_the_data():
    a = {"id": "a", "operator": "top-k", "inputs": ["b"]}
    b = {"id": "b", "operator": "top-k", "inputs": ["a"]}
    (fault,) = faults_of(a, b)
    assert fault in (
        "the nodes go round in a circle: a → b → a",
        "the nodes go round in a circle: b → a → b",
    )
    c = {"id": "c", "operator": "top-k", "inputs": ["a"]}
    (fault,) = faults_of(a, b | {"inputs": ["c"]}, c)
    assert fault == "the nodes go round in a circle: a → c → b → a"
    assert faults_of({"id": "a", "operator": "top-k", "inputs": ["a"]}) == ["the nodes go round in a circle: a → a"]


def test_a_doubled_id():
    assert faults_of(FIND, FIND) == ["find: two nodes have this id. Give one of them another"]


def test_a_concept_that_nothing_before_it_knows():
    picked = {"id": "pick", "operator": "select-concepts", "params": {"names": ["hial"]}, "inputs": ["find"]}
    assert faults_of(FIND, picked) == [
        "pick: nothing before it answers the concept 'hial'. Known: hail, wind. Did you mean 'hail'?"
    ]


def test_a_concept_that_a_node_before_has_taken_away():
    picked = {"id": "pick", "operator": "select-concepts", "params": {"names": ["hail"]}, "inputs": ["find"]}
    after = picked | {"id": "after", "params": {"names": ["wind"]}, "inputs": ["pick"]}
    (fault,) = faults_of(FIND, picked, after)
    assert fault.startswith("after: nothing before it answers the concept 'wind'. Known: hail.")


def test_a_parameter_that_is_unknown_and_one_out_of_its_range():
    wrong = CROPS | {"params": {"margin": 99, "magin": 2}}
    assert faults_of(FIND, wrong) == [
        "crops.params.margin: input should be less than or equal to 10, got '99'",
        "crops.params.magin: no such parameter. Known: margin, square. Did you mean 'margin'?",
    ]


@pytest.mark.parametrize("given", ["high", -0.1, 2, True, None, [0.5]])
def test_a_models_threshold_is_a_score(given):
    (fault,) = faults_of(FIND | {"params": {"threshold": given}})
    assert fault.startswith("find.params.threshold: a score from 0 to 1, got ")


def test_a_model_has_no_other_parameter():
    assert faults_of(FIND | {"params": {"thresold": 0.5}}) == [
        "find.params.thresold: no such parameter. Known: threshold. Did you mean 'threshold'?"
    ]


def test_wires_that_do_not_fit_an_operators_parameters():
    again = FIND | {"id": "again"}
    merge = {"id": "merge", "operator": "region-merge", "params": {"weights": [1, 2, 3]}, "inputs": ["find", "again"]}
    assert faults_of(FIND, again, merge) == ["merge: 3 weights for 2 inputs. Give one for each input, or none"]
    alone = merge | {"params": {"weights": [1]}}
    assert faults_of(FIND, again, alone) == ["merge: 1 weight for 2 inputs. Give one for each input, or none"]
    for weights in ([], [1, 2]):
        assert len(planned(FIND, again, merge | {"params": {"weights": weights}}).steps) == 3


def test_tiles_put_together_are_those_that_the_regions_were_found_in():
    tiles = {"id": "tiles", "operator": "image-tile", "inputs": ["image"]}
    near = {"id": "near", "model": "roof-detector", "inputs": ["tiles"]}
    sure = {"id": "sure", "operator": "region-thresholder", "inputs": ["near"]}
    merge = {"id": "merge", "operator": "tile-merge", "inputs": ["sure", "tiles"]}
    assert planned(tiles, near, sure, merge).steps[3].gives == "regions"
    whole = "merge: its regions were not found in its tiles. Ask a detector about the tiles that are connected to it"
    assert faults_of(FIND, tiles, merge | {"inputs": ["find", "tiles"]}) == [whole]
    assert faults_of(tiles, tiles | {"id": "other"}, near, sure, merge | {"inputs": ["sure", "other"]}) == [whole]


TILES = {"id": "tiles", "operator": "image-tile", "inputs": ["image"]}
NEAR = {"id": "near", "model": "roof-detector", "inputs": ["tiles"]}


def step(id, operator, *inputs):
    return {"id": id, "operator": operator, "inputs": list(inputs)}


@pytest.mark.parametrize(
    ("between", "found", "tiles"),
    [
        ([NEAR, step("a", "region-merge", "near")], "a", "tiles"),
        ([step("some", "random-sample", "tiles"), NEAR | {"inputs": ["some"]}], "near", "tiles"),
        ([step("some", "random-sample", "tiles"), NEAR], "near", "some"),
        ([NEAR, step("crops", "image-crop", "image", "near"), GRADE], "grade", "tiles"),
        ([NEAR, step("once", "tile-merge", "near", "tiles")], "once", "tiles"),
        ([FIND], "find", "tiles"),
    ],
)
def test_regions_that_have_no_rows_of_the_tiles_are_told(between, found, tiles):
    (fault,) = faults_of(TILES, *between, step("merge", "tile-merge", found, tiles))
    assert fault.startswith("merge: its regions were not found in its tiles.")


@pytest.mark.parametrize(
    ("between", "found", "tiles"),
    [
        ([NEAR, step("large", "image-resize", "tiles")], "near", "large"),
        ([step("large", "image-rotate", "tiles"), NEAR | {"inputs": ["large"]}], "near", "tiles"),
        ([step("some", "random-sample", "tiles"), NEAR | {"inputs": ["some"]}], "near", "some"),
        ([NEAR, step("a", "random-sample", "near"), step("b", "non-max-suppression", "a")], "b", "tiles"),
        ([NEAR, step("a", "sort", "near"), step("b", "track-vote", "a")], "b", "tiles"),
        ([NEAR, step("a", "write-crops", "tiles")], "near", "a"),
    ],
)
def test_regions_with_rows_of_the_tiles_are_put_together(between, found, tiles):
    assert planned(TILES, *between, step("merge", "tile-merge", found, tiles)).steps[-1].gives == "regions"


def test_line_counting_needs_ids_that_only_a_tracker_gives():
    count = {"id": "count", "operator": "line-counter", "inputs": ["image", "find"]}
    (fault,) = [fault for fault in faults_of(FIND, count) if "find" in fault]
    assert fault.startswith(
        "count: find gives regions, which it has no input for: image needs image; frames needs frames"
    )
    track = {"id": "track", "operator": "sort", "inputs": ["find"]}
    found = planned(FIND, track, count | {"inputs": ["image", "track"]})
    assert found.in_order
    assert found.steps[1].gives == "frames"


def test_frames_are_taken_where_regions_are_and_stay_frames():
    track = {"id": "track", "operator": "sort", "inputs": ["find"]}
    best = {"id": "best", "operator": "top-k", "inputs": ["track"]}
    assert planned(FIND, track, best).steps[2].gives == "frames"


def test_a_vote_over_frames_takes_what_is_followed_also_what_was_asked_about_its_crops():
    track = {"id": "track", "operator": "sort", "inputs": ["find"]}
    crops = CROPS | {"inputs": ["image", "track"]}
    for voters in ("track", "grade"):
        vote = {"id": "vote", "operator": "track-vote", "inputs": [voters]}
        found = planned(FIND, track, crops, GRADE, vote)
        assert (found.steps[-1].gives, found.in_order) == ("frames", True)
        assert found.steps[-1].concepts == found.steps[3 if voters == "grade" else 1].concepts
    alone = {"id": "vote", "operator": "track-vote", "inputs": ["find"]}
    assert faults_of(FIND, alone)[0] == "vote: find gives regions, which it has no input for: frames needs frames"


def test_all_faults_come_at_once():
    told = faults_of(
        FIND | {"model": "roof-detecter"},
        CROPS | {"inputs": {"regions": "image"}},
        {"id": "grade", "model": "grader@champion", "inputs": {"imges": "image"}},
        name="no name!",
    )
    assert [fault.split(":")[0] for fault in told] == [
        "workflow.name",
        "find",
        "crops.regions",
        "crops.image",
        "grade.imges",
        "grade.image",
    ]
