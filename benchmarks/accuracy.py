"""The light detector through Sightline against the bare loop of `bare.py`: same pictures, epochs and seeds, in turns.

    python benchmarks/accuracy.py ../pictures/bccd --epochs 12 --seeds 3 [--splits train+val]

Prints a row a seed, with the CPU seconds of either whole process (imports, reading and measuring included).
Everything runs in a workspace of its own, which is removed afterwards; nothing in this clone changes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline import PROJECT, print_table, sightline

METRICS = ("map_50", "map")


def main() -> None:
    """Run both for each seed, and print the table as Markdown."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("pictures", type=Path, help="folder that `sightline ingest` reads, labelled with boxes")
    asked.add_argument("--epochs", type=int, default=12)
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--splits", default="train", choices=["train", "train+val"])
    given = asked.parse_args()
    source = given.pictures.resolve()
    folder = Path(tempfile.mkdtemp(prefix="sightline-bench-"))
    os.environ["SIGHTLINE_ROOT"] = str(folder)
    try:
        sightline("ingest", str(source), "--dataset", "pictures")
        rows = [both(folder, seed, given.epochs, given.splits) for seed in range(given.seeds)]
    finally:
        sightline("down")
        shutil.rmtree(folder, ignore_errors=True)
    print_table(rows)


def both(folder: Path, seed: int, epochs: int, splits: str) -> dict[str, object]:
    """One seed, first through Sightline and then bare."""
    chosen = {"epochs": epochs, "seed": seed, "splits": splits}
    settings = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    before = spent()
    tested, _ = sightline("train", "--dataset", "pictures", "--template", "fcos_light", *settings)
    between = spent()
    command = [sys.executable, str(PROJECT / "benchmarks" / "bare.py"), str(folder / "data" / "pictures")]
    command += ["--epochs", str(epochs), "--seed", str(seed), "--splits", splits]
    bare = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    row: dict[str, object] = {"seed": seed, "CPU s": round(between - before), "CPU s, bare": round(spent() - between)}
    for metric in METRICS:
        ours, loop = tested["metrics"][metric], bare[metric]
        row |= {metric: f"{ours:.3f}", f"{metric}, bare": f"{loop:.3f}", f"{metric}, difference": f"{ours - loop:+.3f}"}
    return row


def spent() -> float:
    """CPU seconds of all commands that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
