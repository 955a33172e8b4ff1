"""`sightline index`: find pictures of a dataset by a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.group import Commands, add
from flows.cli.output import MODEL, Json, answer, aside, loading, run, table

WHICH = "The indexed dataset: NAME, or NAME@VERSION for an older one; default: the only one there is."
BY = "The model whose index is meant; default: the only one there is."
SHOWN = 50  # rows of duplicates that a terminal shows; --json holds all


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    add(app, "index", "Visual search: find pictures by a picture.", COMMANDS)


Dataset = Annotated[str, Option(help=WHICH)]
Model = Annotated[str, Option(help=BY)]
Sheet = Annotated[Path | None, Option(help="Where the contact sheet goes (.jpg); default: beside the index.")]


def index_build(
    dataset: Annotated[str, Argument(help="A dataset's name, or a folder it was checked out to.")],
    model: Annotated[str, Option(help=f"{MODEL[:-1]}: an embedder or a classifier.")],
    json: Json = False,
) -> None:
    """Make the pictures of a dataset findable, or bring its index up to date: only what is new is embedded."""
    loading()
    from flows.index import index as flow
    from tasks.visual_index import sentence

    done = run(flow, dataset, model)
    answer(done, json, f"{sentence(done)}\nfind some: sightline index search PICTURE --dataset {done.dataset}")


def index_list(json: Json = False) -> None:
    """The indexes there are: of which version of which dataset, by which version of which model."""
    from tasks.index_rows import indexes, present

    found, faults = indexes()
    for fault in faults:
        aside(str(fault))
    rows = [
        {
            "dataset": index.head.dataset,
            "version": index.head.dataset_version,
            "of now": "yes" if index.head.dataset_version == present(index.head.dataset) else "no",
            "model": index.head.model,
            "images": index.head.count,
            "numbers": index.head.dimension,
            "kind": index.head.kind,
            "MB": round(sum(index.head.sizes.values()) / 1e6, 1),
            "folder": str(index.folder),
        }
        for index in found
    ]
    answer({"indexes": rows}, json, table(rows) if rows else "none. `sightline index build DATASET --model NAME`")


def index_search(
    image: Annotated[Path, Argument(help="The picture to find others like.")],
    dataset: Dataset = "",
    model: Model = "",
    top_k: Annotated[int, Option("--top-k", min=1, max=1000, help="So many are found.")] = 20,
    concept: Annotated[list[str] | None, Option(help="Only pictures with it; given again: with any of them.")] = None,
    split: Annotated[list[str] | None, Option(help="Only pictures of it; given again: of any of them.")] = None,
    metadata: Annotated[
        list[str] | None,
        Option(metavar="KEY=VALUE", help="Only pictures with it; a key again: any of its values; others: all."),
    ] = None,
    box: Annotated[str, Option(metavar="X0,Y0,X1,Y1", help="Part of the picture, in pixels; default: all.")] = "",
    exact: Annotated[bool, Option("--exact", help="Look at every picture, also of more than 200,000.")] = False,
    sheet: Sheet = None,
    json: Json = False,
) -> None:
    """Find the pictures that are most like one, or like a part of it: a table and a contact sheet."""
    asked, pairs = _box(box), tuple(map(_pair, metadata or ()))
    loading()
    from tasks.index_rows import Where, behind, index_of
    from tasks.visual_search import look

    index = index_of(dataset, model)
    if late := behind(index):
        aside(late)
    where = Where(tuple(concept or ()), tuple(split or ()), pairs)
    found = look(index, image, top_k, where, asked, sheet, exact)
    columns = ("rank", "score", "image", "split", "concepts")
    shown = table([{name: hit[name] for name in columns} for hit in found.hits]) if found.hits else "none"
    how = (
        "" if found.exact else f", by a graph that finds {index.head.recall:.3f} of the ten nearest; --exact finds all"
    )
    of = f"of {found.looked_at} pictures{_of_all(found)} of {index}{how}"
    answer(found, json, "\n".join([shown, of, *([f"sheet: {found.sheet}"] if found.sheet else [])]))


def _of_all(found) -> str:
    return f" (of {found.images}, filtered)" if found.looked_at < found.images else ""


def index_duplicates(
    dataset: Dataset = "",
    model: Model = "",
    threshold: Annotated[float, Option(min=-1, max=1, help="Cosine similarity from which on two are alike.")] = 0.99,
    sheet: Sheet = None,
    json: Json = False,
) -> None:
    """Groups of pictures that are nearly the same, copies byte for byte told apart, and those that cross splits."""
    loading()
    from tasks.duplicates import duplicates
    from tasks.index_rows import behind, index_of

    index = index_of(dataset, model)
    if late := behind(index):
        aside(late)
    found = duplicates(index, threshold, sheet)
    rows = [
        {
            "group": number,
            "similarity": row["similarity"],
            "kind": "copy" if row["exact"] else "near",
            "image": row["image"],
            "split": row["split"],
            "concepts": row["concepts"],
            "splits": "differ" if row["leak"] else None,
            "labels": "differ" if row["differ"] else None,
        }
        for number, group in enumerate(found.groups, 1)
        for row in group
    ]
    lines = [table(rows[:SHOWN])] if rows else []
    lines += [f"and {len(rows) - SHOWN} more with --json"] if len(rows) > SHOWN else []
    lines.append(
        f"{len(found.groups)} groups of {found.pictures} pictures, {found.copies} of them copies byte for byte, "
        f"among {found.images} of {index}; "
        f"{found.leaks} groups reach across splits, the concepts of {found.differing} differ"
    )
    answer(found, json, "\n".join([*lines, *([f"sheet: {found.sheet}"] if found.sheet else [])]))


def index_export(
    file: Annotated[Path, Argument(help="A file that ends in .parquet, .npz or .csv.")],
    dataset: Dataset = "",
    model: Model = "",
    json: Json = False,
) -> None:
    """Write the vectors of an index with image, split, concepts and sha256."""
    from tasks.index_export import export
    from tasks.index_rows import index_of

    index = index_of(dataset, model)
    written = export(index, file)
    head = index.head
    about = {"dataset": head.dataset, "dataset_version": head.dataset_version, "model": head.model}
    sizes = {"images": head.count, "dimension": head.dimension}
    answer({"file": written, **about, **sizes}, json, f"{head.count} × {head.dimension} numbers of {index}: {written}")


def _box(given: str) -> tuple[float, float, float, float] | None:
    """Four numbers; whether they fit the picture is seen when it is read."""
    if not given:
        return None
    try:
        x0, y0, x1, y1 = map(float, given.split(","))
    except ValueError:
        raise typer.BadParameter(f"four numbers x0,y0,x1,y1 are wanted, got {given!r}", param_hint="--box") from None
    if not (0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf):
        raise typer.BadParameter(f"x0 < x1 and y0 < y1, none below 0, are wanted, got {given!r}", param_hint="--box")
    return x0, y0, x1, y1


def _pair(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not key or not equals:
        raise typer.BadParameter(f"{given!r}: write KEY=VALUE", param_hint="--metadata")
    return key, value


COMMANDS: Commands = {
    "build": (index_build, "roofs --model roofs-embedder@champion"),
    "search": (index_search, "patch.jpg --dataset roofs --concept hail --top-k 20"),
    "duplicates": (index_duplicates, "--dataset roofs --threshold 0.99"),
    "export": (index_export, "roofs.parquet --dataset roofs"),
    "list": (index_list, ""),
}
