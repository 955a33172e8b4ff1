"""What a prediction's commands share: which inputs are meant, and what is said of the answers."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer
from typer import Argument, Option

from flows.cli.given import a_split
from flows.cli.output import visible

LISTED = 20  # concepts in a prediction's line; --json holds all
OF_DATASET = "Of a dataset: train, val or test; default: all."
HOSTS = "A host that addresses, and a webhook, may name; may be given again. Default: nothing is fetched or sent."

Paths = Annotated[list[str] | None, Argument(help="Files, folders, globs, videos or http(s) addresses.")]
Output = Annotated[str, Option(help="Folder for the answers; default: a new one in predictions/.")]
Draw = Annotated[bool, Option("--draw", help="Also save every picture or video with what was found drawn on it.")]
Listed = Annotated[str, Option(help="A file with a path or address a line.")]
OfDataset = Annotated[str, Option(help="The pictures of a dataset instead.")]
Split = Annotated[str | None, Option(parser=a_split, metavar="SPLIT", help=OF_DATASET)]
Hosts = Annotated[list[str] | None, Option(help=HOSTS)]
Fps = Annotated[float | None, Option(help="Of a video at most so many frames a second; default: all.")]
Every = Annotated[int, Option(min=1, help="Of a video each N-th frame.")]


def inputs_of(
    paths: list[str] | None,
    file: str,
    dataset: str,
    split: str,
    hosts: list[str] | None,
    fps: float | None,
    every: int,
) -> Any:
    """The inputs that a command line names."""
    if dataset and (paths or file):
        raise typer.BadParameter("give either paths or --dataset", param_hint="PATHS")
    if not (paths or file or dataset):
        raise typer.BadParameter("name pictures, or --list FILE, or --dataset NAME", param_hint="PATHS")
    if split and not dataset:
        raise typer.BadParameter("is a dataset's: name that with --dataset", param_hint="--split")
    if fps is not None and not 0 < fps < math.inf:
        raise typer.BadParameter("must be above 0", param_hint="--fps")
    if "" in (hosts or ()):
        raise typer.BadParameter("name a host, as example.com", param_hint="--allow-host")
    if fps is not None and every > 1:
        raise typer.BadParameter("give either --fps or --every", param_hint="--every")
    from tasks.inputs import Inputs

    return Inputs(
        paths=tuple(paths or ()),
        list=file,
        dataset=dataset,
        split=split,
        allow=tuple(hosts or ()),
        fps=fps,
        every=every,
    )


def story(done: dict[str, Any]) -> str:
    """A prediction for a person to read."""
    who = done.get("model") or done["workflow"]
    lines = [f"{who} answered for {done['images']} pictures: {done['output']}"]
    if "model" in done:
        lines += [f"  found: {most(done['found'])}"] if done["found"] else []  # an embedder finds nothing to count
    else:
        lines += [f"  {node}: {most(found)}" for node, found in done["found"].items()]
    for node, came in done.get("acts", {}).items():
        lines.append(f"  {node}: {', '.join(f'{name} {value}' for name, value in came.items())}")
    return "\n".join(
        [*lines, *(f"  left out: {visible(row['path'])}: {visible(row['reason'])}" for row in done["rejected"])]
    )


def most(found: dict[str, int]) -> str:
    """How often each concept was found, the most frequent first."""
    ranked = sorted(((count, name) for name, count in found.items() if count), key=lambda entry: -entry[0])
    more = f", and {len(ranked) - LISTED} more" if len(ranked) > LISTED else ""
    return ", ".join(f"{count} × {name}" for count, name in ranked[:LISTED]) + more or "nothing"
