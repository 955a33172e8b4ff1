"""The hosted platform's workflow files, read as ours, so that people can move."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.runtime.operators import OPERATORS

# Its model types that are operators here, and how their parameters are called.
TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "image-crop": ("image-crop", {"margin": "margin"}),
    "concept-thresholder": ("concept-thresholder", {"concept_threshold_type": "type"}),
    "region-thresholder": ("region-thresholder", {"concept_threshold_type": "type"}),
    "random-sample": ("random-sample", {"keep_fraction": "keep_fraction"}),
    "image-tiling-operator": ("image-tile", {}),
    "tiling-region-aggregator-operator": ("tile-merge", {}),
    "concept-synonym-mapper": ("concept-map", {}),
    "object-counter": ("object-counter", {}),
    "byte-tracker": ("byte-track", {}),
    "centroid-tracker": ("centroid", {}),
    "kalman-filter-tracker": ("sort", {}),
    "image-color-recognizer": ("color-recognizer", {}),
    "annotation-writer": ("write-annotations", {}),
}


MARGIN = re.compile(r"margin-(\d{1,4})-image-crop")  # its public crops, by the percent of a region that they cut out


def is_hosted(row: Any) -> bool:
    """Whether a workflow is written as the hosted platform writes it: a model with `model_id`, or `node_inputs`."""
    inner = row.get("workflow") if isinstance(row, dict) else None
    nodes = inner.get("nodes") if isinstance(inner, dict) else None
    return isinstance(nodes, list) and any(
        isinstance(node, dict) and ("node_inputs" in node or isinstance(node.get("model"), dict)) for node in nodes
    )


def translated(row: dict[str, Any], models: Mapping[str, str]) -> dict[str, Any]:
    """The same workflow in our words; `graph.parse` and `wiring.plan` say what is wrong with it.

    models: for each of its model ids the registered model (or the operator) that is meant; an id that is not named
    there is looked up in the registry as it is. A node that looks back for the picture there is given it here.
    """
    workflow = row["workflow"]
    nodes = [_node(node, models) if isinstance(node, dict) else node for node in workflow["nodes"]]
    return {"workflow": {"name": workflow.get("id", workflow.get("name")), "nodes": nodes}}


def _node(node: dict[str, Any], models: Mapping[str, str]) -> dict[str, Any]:
    named = node.get("model")
    theirs = named if isinstance(named, dict) else {"model_id": named}
    linked = node.get("node_inputs")
    links = linked if isinstance(linked, list) else [linked] if linked else []
    before = [each.get("node_id") if isinstance(each, dict) else each for each in links]
    id, type = (str(theirs.get(name) or "") for name in ("model_id", "model_type_id"))
    info = theirs.get("output_info")
    given = info.get("params") if isinstance(info, dict) else None
    params = dict(given) if isinstance(given, dict) else {}
    wanted = models.get(id, id)
    if margin := MARGIN.fullmatch(id):
        wanted, params = "image-crop", {"margin": int(margin[1]) / 100} | params
    elif id not in models and type in TYPES:
        wanted, names = TYPES[type]
        params = {names.get(name, name): value for name, value in params.items()}
    if wanted not in OPERATORS:
        least = {"threshold": params["detection_threshold"]} if "detection_threshold" in params else {}
        return {"id": node.get("id"), "model": wanted, "params": least, "inputs": before or ["image"]}
    ports = OPERATORS[wanted].takes
    looks_back = [port for port in ports if ports[port].types == ("image",) and len(ports) > 1 and before]
    return {"id": node.get("id"), "operator": wanted, "params": params, "inputs": [*looks_back, *before] or ["image"]}
