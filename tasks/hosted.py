"""The hosted platform's workflow files, read as ours, so that people can move.

What is read has the same meaning here; what has none is a fault that says what to do, so that no answer changes unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.runtime.faults import choices, listed, short
from models.runtime.operators import OPERATORS
from models.runtime.operators.filter import PASSES, PLATFORM
from models.runtime.workflows.graph import MOST
from tasks.hosted_terms import (
    AHEAD,
    APART,
    COMPARISON,
    CONCEPTS,
    DATA,
    INFO,
    INSTEAD,
    LEAST,
    LISTED,
    LISTING,
    MARGIN,
    MODEL,
    MODELS,
    NAMES,
    NEAR,
    NODE,
    NUMBERS,
    OWN,
    STATUS,
    TYPES,
    UNMAPPED,
)


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
    to put together, is given them here. What is left empty there is left out.
    faults: gets everything in it that has no equal here.
    """
    workflow = row["workflow"]
    name = workflow.get("id", workflow.get("name"))
    listing: set[str] = set()
    nodes = [_node(node, models, faults, listing) if isinstance(node, dict) else node for node in workflow["nodes"]]
    known = {node["id"]: node for node in nodes if isinstance(node, dict) and isinstance(node["id"], str)}
    if len(nodes) <= MOST:  # else `parse` says that they are too many
        _give_least(known, listing, faults)
        _give_tiles(known, faults)
    return {"workflow": {"name": name, "nodes": nodes}}


def _node(node: dict[str, Any], models: Mapping[str, str], faults: list[str], listing: set[str]) -> dict[str, Any]:
    """listing: gets the ids of models whose answers there list only so many concepts."""
    named = node.get("model")
    theirs = named if isinstance(named, dict) else {"model_id": named}
    linked = node.get("node_inputs")
    links = linked if isinstance(linked, list) else [linked] if linked else []
    before = [each.get("node_id") if isinstance(each, dict) else each for each in links]
    told = [*_unknown("", node, NODE), *_unknown("model.", theirs, MODEL)]
    info = _below(theirs, "output_info", told)
    told += _unknown("output_info.", info, INFO)
    data = _below(info, "output_info.data", told)
    told += _unknown("output_info.data.", data, DATA)
    id, type = (_word(name, theirs.get(name), told) for name in ("model_id", "model_type_id"))
    params = _below(info, "output_info.params", told)
    margin = MARGIN.fullmatch(id)
    wanted = models.get(id) or ("image-crop" if margin else TYPES.get(type, id))
    if margin and wanted == "image-crop":
        params = {"margin": int(margin[1]) / 100} | params
    elif id not in models and type not in {"", *TYPES, *MODELS}:
        near = NEAR.get(type, "what comes near it: a model or an operator")
        told.append(f"there is no {short(type)} here. In the mapping file `{short(id)}` may be {near}")
    concepts = _concepts(data.get("concepts"), told)
    if wanted in OPERATORS:
        ports = OPERATORS[wanted].takes
        looks_back = [port for port in ports if ports[port].types == ("image",) and len(ports) > 1 and before]
        what, before = {"operator": wanted}, [*looks_back, *before]
        params = _of_operator(wanted, params, concepts, told)
    else:
        if params.pop(LISTING, None) and isinstance(node.get("id"), str):
            listing.add(node["id"])
        what, params = {"model": wanted}, _of_model(params, concepts, told)
    faults += [f"{short(node.get('id'))}: {each}" for each in told]
    return {"id": node.get("id"), **what, "params": params, "inputs": before or ["image"]}


def _word(name: str, given: Any, told: list[str]) -> str:
    """A text or a number, as text; empty where there is none. All else is told: written out, aliases have no end."""
    if isinstance(given, str | int) and not isinstance(given, bool):
        return given if isinstance(given, str) else short(given)
    if _says(given):
        told.append(f"{name}: a text or a number, got {short(given)!r}")
    return ""


def _below(part: Mapping[str, Any], where: str, told: list[str]) -> dict[str, Any]:
    """What is said below a key, the last in `where`; nothing where there is none. What is no mapping is told."""
    given = part.get(where.rpartition(".")[2])
    if _says(given) and not isinstance(given, dict):
        told.append(f"{where}: a mapping, got {short(given)!r}")
    return {key: value for key, value in given.items() if _says(value)} if isinstance(given, dict) else {}


def _unknown(where: str, part: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    """What stands where nothing is looked for, and so would have no say."""
    stray = [key for key, value in part.items() if key not in known and _says(value)]
    return [f"{where}{short(key)}: no such key. {choices(short(key), known)}" for key in stray]


def _concepts(given: Any, told: list[str]) -> dict[str, Any]:
    """Each concept's value by its name, or by its id where it has no name; None where it has no value."""
    concepts: dict[str, Any] = {}
    for each in given if isinstance(given, list) else [given] if given else []:
        said = (each.get("name") or each.get("id")) if isinstance(each, dict) else None
        name = _word(CONCEPTS, said, told)
        if not name:
            told += [] if said else [f"{CONCEPTS}: each has a name or an id, got {short(each)!r}"]
        elif name in concepts:
            told.append(f"{CONCEPTS}: {short(name)} stands twice. Keep one of them")
        else:
            concepts[name] = each.get("value")
    return concepts


def _of_model(params: dict[str, Any], concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    least = {name: params.pop(name) for name in LEAST if name in params}
    told += [f"{name}: a score from 0 to 1, got {short(each)!r}" for name, each in least.items() if not _is_score(each)]
    given = [*params, CONCEPTS] if concepts else params
    told += [_no_equal(name) for name in given]
    scores = [each for each in least.values() if _is_score(each)]
    return {"threshold": max(scores)} if scores else {}


def _of_operator(operator: str, params: dict[str, Any], concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    fields = OPERATORS[operator].model_fields
    more: dict[str, Any] = {}
    if "thresholds" in fields:
        more = _thresholds(params, concepts, told)
    elif concepts and "names" in fields:
        more = _names(concepts, told)
    elif concepts:
        told.append(_no_equal(CONCEPTS))
    if operator == "write-annotations":
        more = _status(_word("annotation_status", params.pop("annotation_status", None), told), told)
    if operator == "concept-map":
        params.pop("knowledge_graph_id", None)
        told += [] if "mapping" in params else [UNMAPPED]
    own = {name: NAMES.get(name, name) for name in params}
    foreign = [name for name in params if own[name] not in fields]
    told += [f"{_no_equal(name)}. {choices(short(name), fields, f'{operator} has')}" for name in foreign]
    return more | {own[name]: value for name, value in params.items() if name not in foreign}


def _thresholds(params: dict[str, Any], concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    """The threshold of each concept named; all others fail, as there."""
    way = params.get(COMPARISON)
    if COMPARISON in params and not (isinstance(way, str) and (way in PLATFORM or way in PASSES)):
        told.append(f"{COMPARISON}: got {short(params.pop(COMPARISON))!r}. {choices(short(way), PLATFORM)}")
    if not concepts:
        if not {"threshold", "thresholds"} & params.keys():
            told.append(f"{CONCEPTS}: no concept. Name those that go on, each with its threshold, 0 to 1, as `value`")
        return {}
    for name in ("threshold", "thresholds", "rest"):
        told += [f"{name}: {OWN}"] if params.pop(name, None) is not None else []
    without = [name for name, value in concepts.items() if not _is_score(value)]
    if without:
        told.append(f"{CONCEPTS}: no value from 0 to 1 for {listed(without)}. Give each its threshold")
    return {"thresholds": {name: concepts[name] for name in concepts if name not in without}, "rest": "drop"}


def _names(concepts: dict[str, Any], told: list[str]) -> dict[str, Any]:
    valued = [name for name, value in concepts.items() if value not in (None, 1)]
    if valued:
        told.append(f"{CONCEPTS}: a value for {listed(valued)}, which counts for nothing here. {AHEAD}")
    return {"names": list(concepts)}


def _status(given: str, told: list[str]) -> dict[str, Any]:
    name = NUMBERS.get(given, given).removeprefix("ANNOTATION_")
    if name and name not in STATUS:
        told.append(f"annotation_status: {short(name)} has no equal here. {choices(name, STATUS, 'There are')}")
    return dict(STATUS.get(name, {}))


def _says(value: Any) -> bool:
    """Whether a parameter is more than left empty."""
    return value is not None and value not in ("", [], {})


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _no_equal(name: Any) -> str:
    return f"{short(name)} has no equal here. {INSTEAD.get(name, 'Leave it out')}"


def _give_least(known: Mapping[str, dict[str, Any]], listing: set[str], faults: list[str]) -> None:
    """Each writer with a status drops what the model before it leaves out there, where here it answers all concepts."""
    for id, node in known.items():
        params = node["params"]
        if node.get("operator") != "write-annotations" or "several" not in params:
            continue
        least = {model: known[model]["params"].get("threshold", 0.0) for model in _asked(id, known)}
        if len({*least.values()}) > 1:
            faults.append(f"{id}: {APART.format(listed(f'{model}: {score}' for model, score in least.items()))}")
        params |= {name: max(least.values(), default=0.0) for name in ("sure", "unsure") if params.get(name) == 0}
        for model in least:
            if model in listing:
                faults.append(f"{model}: {LISTING} has no equal here, and {id} would write more labels. {LISTED}")


def _asked(id: str, known: Mapping[str, dict[str, Any]]) -> list[str]:
    """The models whose answers come to a node, by whatever way, none of them through another one."""
    models: list[str] = []
    left, seen = [id], {id}
    while left:
        for before in known[left.pop()]["inputs"]:
            if isinstance(before, str) and before in known and before not in seen:
                seen.add(before)
                (models if "model" in known[before] else left).append(before)
    return models


def _give_tiles(known: Mapping[str, dict[str, Any]], faults: list[str]) -> None:
    """Each tile-merge gets the tiles that its regions were found in, as there it finds them by itself."""
    for id, node in known.items():
        if node.get("operator") != "tile-merge" or len(node["inputs"]) > 1:
            continue
        back = _back(id, known)
        # The nearest model is to be asked about tiles, whatever was done to them before.
        marks = [each for each in back if "model" in known[each] or known[each]["operator"] == "image-tile"]
        if ["model" in known[each] for each in marks[:2]] == [True, False]:
            node["inputs"].append(back[back.index(marks[0]) + 1])
        else:
            faults.append(f"{id}: no model before it is asked about tiles. Feed it with image-tiling-operator's")


def _back(id: str, known: Mapping[str, dict[str, Any]]) -> list[str]:
    """A node, what feeds it, what feeds that, …; of several inputs the last, as what it looks back for comes first."""
    path = {id: None}
    while isinstance(last := known[id]["inputs"][-1], str) and last in known and last not in path:
        path[last], id = None, last
    return list(path)
