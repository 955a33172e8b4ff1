"""The hosted platform's workflow files, read as ours, so that people can move.

What is read has the same meaning here; what has none is a fault that says what to do, so that no answer changes unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.runtime.faults import choices, listed, short
from models.runtime.operators import OPERATORS
from models.runtime.operators.filter import PLATFORM
from models.runtime.workflows.graph import MOST

# Its model types that are operators here.
TYPES = {
    "image-crop": "image-crop",
    "concept-thresholder": "concept-thresholder",
    "region-thresholder": "region-thresholder",
    "random-sample": "random-sample",
    "image-tiling-operator": "image-tile",
    "tiling-region-aggregator-operator": "tile-merge",
    "concept-synonym-mapper": "concept-map",
    "object-counter": "object-counter",
    "byte-tracker": "byte-track",
    "centroid-tracker": "centroid",
    "kalman-filter-tracker": "sort",
    "image-color-recognizer": "color-recognizer",
    "annotation-writer": "write-annotations",
}
# Its types that nothing here is the same as, and what comes near: whoever wants that says so in the mapping file.
NEAR = {
    "kalman-reid-tracker": "byte-track, oc-sort or sort",
    "neural-tracker": "byte-track, oc-sort or sort",
    "neural-lite-tracker": "byte-track, oc-sort or sort",
    "text-aggregation-operator": "reading-order",
}
NAMES = {"concept_threshold_type": "type"}  # its parameters that are called otherwise here
CONCEPTS = "output_info.data.concepts"
# What it says and nothing here means, and what to do; of others: leave them out.
INSTEAD = {
    CONCEPTS: "Leave it out, and put a select-concepts operator where only some may go on",
    "select_concepts": "Leave it out, and put a select-concepts operator after the model",
    "sample_ms": "Leave it out, and give `--fps` when the workflow is run",
    "annotation_user_id": "Leave it out: labels say which workflow they come from",
    "task_id": "Leave it out: what is to be reviewed lies in a folder of its own, review/",
    "track_id_prefix": "Leave it out: ids are numbers, and begin anew with each video",
}
UNMAPPED = (
    "concept-map: their synonyms are in an app's knowledge graph, not in the file. Write them as "
    "`mapping: {their-name: our-name}` below output_info.params"
)
LISTING = {"max_concepts"}  # how many concepts an answer there lists: here each lists all, so that none is lost
# What `annotation_status` decides is decided here by scores. Labels are those of each concept that is left, as there.
# Under REVIEW a score of exactly 1 is accepted all the same: no `sure` lies above it.
ACCEPTED = {"sure": 0.0, "unsure": 0.0, "several": True}
REVIEW = {"sure": 1.0, "unsure": 0.0, "several": True}
STATUS = {"SUCCESS": ACCEPTED, "PENDING": REVIEW, "AWAITING_REVIEW": REVIEW}
NUMBERS = {
    "24150": "SUCCESS",
    "24151": "PENDING",
    "24157": "AWAITING_REVIEW",
    "24159": "AWAITING_CONSENSUS_REVIEW",
}
MARGIN = re.compile(r"margin-(\d{1,4})-image-crop")  # its public crops, by the percent of a region that they cut out


def is_hosted(row: Any) -> bool:
    """Whether a workflow is written as the hosted platform writes it: a model with `model_id`, or `node_inputs`."""
    inner = row.get("workflow") if isinstance(row, dict) else None
    nodes = inner.get("nodes") if isinstance(inner, dict) else None
    return isinstance(nodes, list) and any(
        isinstance(node, dict) and ("node_inputs" in node or isinstance(node.get("model"), dict)) for node in nodes
    )


def translated(row: dict[str, Any], models: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """The same workflow in our words; `graph.parse` and `wiring.plan` say what is wrong with it.

    models: for each of its model ids the registered model (or the operator) that is meant; an id that is not named
    there is looked up in the registry as it is. A node that there finds the picture by itself, or the tiles that it is
    to put together, is given them here.
    faults: gets everything in it that has no equal here.
    """
    workflow = row["workflow"]
    name = workflow.get("id", workflow.get("name"))
    nodes = [_node(node, models, faults) if isinstance(node, dict) else node for node in workflow["nodes"]]
    if len(nodes) <= MOST:  # else `parse` says that they are too many
        _give_tiles([node for node in nodes if isinstance(node, dict)], faults)
    return {"workflow": {"name": name, "nodes": nodes}}


def _node(node: dict[str, Any], models: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    named = node.get("model")
    theirs = named if isinstance(named, dict) else {"model_id": named}
    linked = node.get("node_inputs")
    links = linked if isinstance(linked, list) else [linked] if linked else []
    before = [each.get("node_id") if isinstance(each, dict) else each for each in links]
    id, type = (str(theirs.get(name) or "") for name in ("model_id", "model_type_id"))
    params = {NAMES.get(name, name): value for name, value in _part(theirs, "params").items()}
    wanted = models.get(id) or TYPES.get(type, id)
    told: list[str] = []
    if margin := MARGIN.fullmatch(id):
        wanted, params = "image-crop", {"margin": int(margin[1]) / 100} | params
    elif type in NEAR and id not in models:
        told.append(f"there is no {type} here. In the mapping file `{short(id)}` may be {NEAR[type]}")
    concepts = _concepts(_part(theirs, "data").get("concepts"), told)
    if wanted in OPERATORS:
        ports = OPERATORS[wanted].takes
        looks_back = [port for port in ports if ports[port].types == ("image",) and len(ports) > 1 and before]
        what, before = {"operator": wanted}, [*looks_back, *before]
        params = _of_operator(wanted, params, concepts, told)
    else:
        what, params = {"model": wanted}, _of_model(params, concepts, told)
    faults += [f"{short(node.get('id'))}: {each}" for each in told]
    return {"id": node.get("id"), **what, "params": params, "inputs": before or ["image"]}


def _part(theirs: dict[str, Any], name: str) -> dict[str, Any]:
    """`output_info.params` or `output_info.data`, empty where there is none."""
    info = theirs.get("output_info")
    given = info.get(name) if isinstance(info, dict) else None
    return dict(given) if isinstance(given, dict) else {}


def _concepts(given: Any, told: list[str]) -> dict[str, Any]:
    """Each concept's value by its name, or by its id where it has no name; None where it has no value."""
    concepts = {}
    for each in given if isinstance(given, list) else [given] if given else []:
        name = each.get("name") or each.get("id") if isinstance(each, dict) else None
        if isinstance(name, str):
            concepts[name] = each.get("value")
        else:
            told.append(f"{CONCEPTS}: each has a name or an id, got {short(each)!r}")
    return concepts


def _of_model(params: dict[str, Any], concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    least = [params.pop(name) for name in ("detection_threshold", "min_value") if name in params]
    given = params | ({CONCEPTS: list(concepts)} if concepts else {})
    told += [_no_equal(name) for name, value in given.items() if name not in LISTING and _says(value)]
    return {"threshold": least[0]} if least else {}


def _of_operator(operator: str, params: dict[str, Any], concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    fields = OPERATORS[operator].model_fields
    more: dict[str, Any] = {}
    if concepts and "thresholds" in fields:
        more = _thresholds(params.get("type"), concepts, told)
    elif concepts and "names" in fields:
        more = {"names": list(concepts)}
    elif concepts:
        told.append(_no_equal(CONCEPTS))
    if operator == "write-annotations":
        more = _status(params.pop("annotation_status", None), told)
    if operator == "concept-map":
        params.pop("knowledge_graph_id", None)
        told += [] if _says(params.get("mapping")) else [UNMAPPED]
    foreign = [name for name, value in params.items() if name not in fields and _says(value)]
    told += [f"{_no_equal(name)}. {choices(str(name), fields, f'{operator} has')}" for name in foreign]
    return more | {name: value for name, value in params.items() if name in fields}


def _thresholds(type: Any, concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    """Those of the concepts named, and one for all others that they fail: there, those named alone go on.

    Of `>=` a score of exactly 1 passes it, of `<=` and `=` one of exactly 0.
    """
    without = [name for name, value in concepts.items() if value is None]
    if without:
        told.append(f"{CONCEPTS}: no value for {listed(without)}. Give each its threshold, 0 to 1")
    way = PLATFORM.get(type, type) if isinstance(type, str) else ">="
    return {"thresholds": concepts, "threshold": 1.0 if way in (">", ">=") else 0.0}


def _status(given: Any, told: list[str]) -> dict[str, Any]:
    if not _says(given):
        return {}
    name = NUMBERS.get(str(given), str(given)).removeprefix("ANNOTATION_")
    if name not in STATUS:
        told.append(f"annotation_status: {short(name)} has no equal here. {choices(name, STATUS, 'There are')}")
    return STATUS.get(name, {})


def _says(value: Any) -> bool:
    """Whether a parameter is more than left empty."""
    return value is not None and value not in ("", [], {})


def _no_equal(name: Any) -> str:
    return f"{short(name)} has no equal here. {INSTEAD.get(name, 'Leave it out')}"


def _give_tiles(nodes: list[dict[str, Any]], faults: list[str]) -> None:
    """Each tile-merge gets the tiles that its regions come from, as there it finds them by itself."""
    known = {node["id"]: node for node in nodes if isinstance(node["id"], str)}
    tilers = [id for id, node in known.items() if node.get("operator") == "image-tile"]
    for id, node in known.items():
        if node.get("operator") != "tile-merge" or any(each in tilers for each in node["inputs"]):
            continue
        before = _before(id, known)
        found = [each for each in tilers if each in before]
        if len(found) == 1:
            node["inputs"].append(found[0])
        elif found:
            faults.append(f"{id}: {listed(found)} make tiles before it. Name in its node_inputs those it puts together")
        else:
            faults.append(f"{id}: nothing before it makes tiles. Feed the model before it with image-tiling-operator's")


def _before(id: str, known: Mapping[str, dict[str, Any]]) -> set[str]:
    """Every node that this one comes from."""
    found: set[str] = set()
    waiting = [id]
    while waiting:
        inputs = known[waiting.pop()]["inputs"]
        new = {each for each in inputs if isinstance(each, str) and each in known} - found
        found |= new
        waiting += new
    return found
