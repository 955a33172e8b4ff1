"""The demo's own verbs: compose its pictures, tell its story."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evaluate import Evaluation
from tasks.files import write
from tasks.page import log, show
from tasks.promote import Promotion
from tasks.servers import status
from tasks.workspace import root

SHOWN = 6  # test scenes that are predicted and drawn


def folder() -> Path:
    """Where the demo's pictures and answers lie."""
    return root() / "demo"


@task(cache_policy=NO_CACHE, task_run_name="compose")
def compose(seed: int) -> None:
    """Compose the pictures from scikit-learn's handwritten digits, unless those of this seed are there."""
    from tasks.data import digits, scenery

    code = b"".join(Path(str(module.__file__)).read_bytes() for module in (digits, scenery))
    stamp = f"{seed} {hashlib.sha256(code).hexdigest()}"
    stamped = folder() / "composed.txt"
    if stamped.exists() and stamped.read_text(encoding="utf-8") == stamp:
        log(f"the pictures of seed {seed} are there")
        return
    shutil.rmtree(folder(), ignore_errors=True)
    digits.compose(folder(), seed)
    write(stamped, stamp)


def scenes() -> list[str]:
    """A few test scenes, by path."""
    listed = (folder() / "scenes" / "ImageSets" / "Main" / "test.txt").read_text(encoding="utf-8").split()
    return [str(folder() / "scenes" / "JPEGImages" / f"{name}.bmp") for name in listed[:SHOWN]]


@task(cache_policy=NO_CACHE, task_run_name="tell")
def tell(
    seconds: float,
    decisions: dict[str, Promotion],
    tests: dict[str, Evaluation],
    trains: dict[str, Evaluation],
    trained: bool,
    predicted: dict[str, Any],
) -> dict[str, Any]:
    """Write `demo/summary.json` and the story for a person; answers the summary with the story in it."""
    detector, classifier = tests["roofs"], tests["listings"]
    summary = {
        "detector": {name: round(detector.metrics[name], 4) for name in ("map_50", "map")},
        "classifier": {"accuracy": round(classifier.metrics["accuracy"], 4)},
        "dataset_versions": {one.dataset: one.dataset_version for one in tests.values()},
        "models": {"detector": detector.model, "classifier": classifier.model},
        "trained": trained,
        "seconds": round(seconds, 1),
    }
    write(folder() / "summary.json", json.dumps(summary, indent=2) + "\n")
    story = _story(summary, decisions, tests, trains, predicted)
    show(f"```\n{story}\n```", "demo", "What the demo did")
    return summary | {"story": story}


def _story(
    summary: dict[str, Any],
    decisions: dict[str, Promotion],
    tests: dict[str, Evaluation],
    trains: dict[str, Evaluation],
    predicted: dict[str, Any],
) -> str:
    lines = ["", f"Done in {summary['seconds']:.0f} s."]
    if not summary["trained"]:
        lines.append("Nothing was trained: data, parameters and training code are those of the versions below.")
    lines += ["", f"{'':<26}{'metric':<12}{'test':>8}{'train':>8}"]
    for app, name in (("roofs", "map_50"), ("roofs", "map"), ("listings", "accuracy")):
        held_out, seen = tests[app].metrics[name], trains[app].metrics[name]
        lines.append(f"{tests[app].model:<26}{name:<12}{held_out:>8.4f}{seen:>8.4f}")
    lines += ["", *(decision.why for decision in decisions.values()), ""]
    lines += [f"dataset {name:<16}{version}" for name, version in summary["dataset_versions"].items()]
    servers = status()
    lines += [
        "",
        f"drawn predictions   {predicted['output']}/drawn",
        *(f"report              {one.report}/report.html" for one in tests.values()),
        f"summary             {folder() / 'summary.json'}",
    ]
    if servers is not None:
        lines += [
            "",
            f"Prefect, every step {servers.prefect_ui}",
            f"MLflow, the models  {servers.mlflow_ui}",
        ]
        lines += ["stop them           sightline down"]
    return "\n".join([*lines, "", *NEXT])


NEXT = (
    "Next, with pictures of your own:",
    "  sightline ingest FOLDER --dataset NAME",
    "  sightline train --dataset NAME --template fcos_light     (boxes; resnet_light for whole pictures)",
    "  sightline predict NAME-detector PICTURES --draw",
)
