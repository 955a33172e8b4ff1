"""The main path on real pictures: ingest, a short training, prediction; a table of what came out.

    make bench DATA=../pictures
    python benchmarks/pipeline.py ../pictures --only bccd

The folder holds sets in forms that `sightline ingest` reads; BENCHES names the ones that are measured.
Everything runs in a workspace of its own, which is removed afterwards; nothing in this clone changes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

# dataset: template, parameters for a short run, and the metric in the table
BENCHES = {
    "bccd": ("fcos_light", {"epochs": 12}, "map_50"),
    "fruits": ("fcos_light", {"epochs": 12}, "map_50"),
    "clothing": ("resnet18", {"epochs": 6}, "accuracy"),
}


def main() -> None:
    """Measure each set in turn and print the table as Markdown."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path, help="folder with the sets")
    asked.add_argument("--only", choices=BENCHES, help="one set alone")
    given = asked.parse_args()
    data = given.data.resolve()  # the commands run in the project's folder, wherever this was called
    if not data.is_dir():
        sys.exit(f"{given.data}: no such folder. Say where the pictures are: make bench DATA=folder")
    folder = Path(tempfile.mkdtemp(prefix="sightline-bench-"))
    os.environ["SIGHTLINE_ROOT"] = str(folder)
    try:
        rows = [measure(name, data / name) for name in BENCHES if given.only in (None, name)]
    finally:
        sightline("down")
        shutil.rmtree(folder, ignore_errors=True)
    print_table(rows)


def measure(name: str, source: Path) -> dict[str, object]:
    """One set through the commands a user gives."""
    template, parameters, metric = BENCHES[name]
    ingested, _ = sightline("ingest", str(source), "--dataset", name)
    settings = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
    tested, peak = sightline("train", "--dataset", name, "--template", template, *settings)
    version, _ = sightline("model", "show", tested["model"])
    seen = ingested["splits"]["train"] * parameters["epochs"]
    return {
        "set": name,
        "images": ingested["images"],
        "left out": reasons(ingested),
        "template": template,
        "epochs": parameters["epochs"],
        "training img/s": f"{seen / version['training_seconds']:.1f}",
        "prediction img/s": f"{1000 / tested['milliseconds']:.1f}",
        "peak MB": round(peak / 1024),
        "test": f"{metric} {tested['metrics'][metric]:.3f}",
    }


def sightline(*words: str) -> tuple[dict, int]:
    """A command's answer, and its largest memory in kB. Stops everything when it fails."""
    command = [sys.executable, "-m", "flows", *words, "--json"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"sightline {' '.join(words)} failed")
    return json.loads(answer), used.ru_maxrss


def reasons(ingested: dict) -> str:
    """How many were left out, and why: the reasons in rejected.csv, counted."""
    if not ingested["rejected"]:
        return "0"
    with Path(ingested["rejected_file"]).open(encoding="utf-8", newline="") as file:
        counted = Counter(row["reason"].partition(":")[0] for row in csv.DictReader(file))
    return "; ".join(f"{count} × {reason}" for reason, count in counted.most_common(3))


def print_table(rows: list[dict[str, object]]) -> None:
    """Markdown on standard output."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    sys.stdout.write("".join(f"| {' | '.join(line)} |\n" for line in lines))


if __name__ == "__main__":
    main()
