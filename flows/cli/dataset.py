"""`sightline dataset`: what lies in data/*."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.given import a_split
from flows.cli.group import Commands, add
from flows.cli.output import MODEL, Json, answer, aside, loading, run, table
from models.runtime.faults import Fault

SOME = "train, val, test, or some of them with + between; default: all."
FIRST = 20  # label issues that a terminal shows; the files hold all that are listed


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "dataset", "Datasets: data/*.", COMMANDS)


def dataset_list(json: Json = False) -> None:
    """The datasets there are, with their versions."""
    from tasks.data.dataset import datasets, named_dataset
    from tasks.data.version import versions

    known, here = versions(), datasets()
    rows = []
    for name in sorted({*known, *here}):
        opened, on_disk = None, "yes" if name in here else "no"
        try:
            opened = named_dataset(name) if name in here else None
        except Fault as fault:
            aside(str(fault))
            on_disk = "at fault"
        rows.append(
            {
                "dataset": name,
                "task": opened.task if opened else None,
                "images": len(opened) if opened else None,
                "concepts": len(opened.concepts) if opened else None,
                "on disk": on_disk,
                "version": known.get(name),
            }
        )
    answer(
        {"datasets": rows}, json, table(rows) if rows else "none. `sightline ingest SOURCE --dataset NAME` makes one."
    )


def dataset_show(name: Annotated[str, Argument(help="A dataset's name.")], json: Json = False) -> None:
    """Counts by split and concept, sizes of images and boxes, twins."""
    from tasks.data.dataset import named_dataset
    from tasks.data.health import describe
    from tasks.data.version import versions

    summary = describe(named_dataset(name, versions().get(name, "")))
    answer(summary, json, f"{summary.text()}\nversion {summary.version or f'none: data.dvc does not name {name}'}")


def dataset_check(name: Annotated[str, Argument(help="A dataset's name.")], json: Json = False) -> None:
    """What is wrong with a dataset, and whether its files are those of its version (exit code 1 when they are not)."""
    from tasks.data.dataset import named_dataset
    from tasks.data.health import problems
    from tasks.data.version import verify

    found = list(problems(named_dataset(name)))
    try:
        version = verify(name)
    except Fault as fault:
        found.append(str(fault))
        answer({"dataset": name, "dataset_version": None, "problems": found}, json, "\n".join(found))
        raise typer.Exit(1) from None
    human = "\n".join([*found, f"files on disk are version {version}"])
    answer({"dataset": name, "dataset_version": version, "problems": found}, json, human)


def dataset_export(
    name: Annotated[str, Argument(help="A dataset's name.")],
    folder: Annotated[Path, Argument(help="A new or empty folder.")],
    format: Annotated[str, Option(help="voc, coco, yolo, folder or csv.")] = "coco",
    json: Json = False,
) -> None:
    """Write a dataset in another format."""
    from tasks.data.dataset import named_dataset
    from tasks.data.formats import write

    written = write(named_dataset(name), format, folder)
    lost = [f"left out: {sentence}" for sentence in written.lost]
    answer(written, json, "\n".join([f"{written.files} files in {written.folder}", *lost]))


def dataset_checkout(
    version: Annotated[str, Argument(help="NAME@VERSION; six digits of the version will do.")],
    folder: Annotated[Path | None, Argument(help="A new folder; default: one of its own.")] = None,
    json: Json = False,
) -> None:
    """Bring an older version of a dataset into a folder of its own."""
    from tasks.data.checkout import checkout

    name, _, digest = version.partition("@")
    if not digest:
        raise typer.BadParameter(f"{version!r}: write NAME@VERSION", param_hint="VERSION")
    path = checkout(name, digest, folder).resolve()  # as `train` takes it, wherever it is called from
    how = f"train on it: sightline train --dataset {quote(str(path))} --template NAME"
    answer({"dataset": name, "folder": path}, json, f"{path}\n{how}")


def dataset_label_issues(
    dataset: Annotated[str, Argument(help="A dataset's name, or a folder it was checked out to.")],
    model: Annotated[str, Option(help=f"{MODEL[:-1]}: a classifier or a detector.")],
    split: Annotated[str | None, Option(parser=a_split, metavar="SPLIT", help=SOME)] = None,
    limit: Annotated[int, Option(min=1, help="So many are listed, the most suspicious.")] = 100,
    output: Annotated[
        Path | None, Option(help="Folder for the list and its pictures; default: one of its own.")
    ] = None,
    json: Json = False,
) -> None:
    """List the labels most likely wrong or missing, by what a model says: CSV and pictures."""
    loading()
    from flows.label_issues import label_issues as flow
    from tasks.label_issues import sentence

    done = run(flow, dataset, model, split or "", limit, str(output.resolve()) if output else "")
    shown = [table(done.rows[:FIRST])] if done.rows else []
    more = [f"and {len(done.rows) - FIRST} more in the files"] if len(done.rows) > FIRST else []
    count = len(done.sheets)
    sheets = f", {count} sheet{'s' if count > 1 else ''} of pictures" if count else ""
    written = f"files: {done.folder} (label_issues.csv{sheets})"
    answer(done, json, "\n".join([*shown, *more, sentence(done), written]))


COMMANDS: Commands = {
    "list": (dataset_list, ""),
    "show": (dataset_show, "roofs"),
    "check": (dataset_check, "roofs"),
    "export": (dataset_export, "roofs exported/ --format coco"),
    "checkout": (dataset_checkout, "roofs@3f2a91"),
    "label-issues": (dataset_label_issues, "roofs --model roofs-detector"),
}
