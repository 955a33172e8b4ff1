"""The verbs of an ingest: read, check, split, write, version, report."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.runtime.faults import Fault, short
from tasks.data import formats
from tasks.data.account import Ingested, account, counts, told
from tasks.data.commit import point, recordable, stage
from tasks.data.dataset import folder_of, named_dataset
from tasks.data.draft import Draft, draft, fresh, mended, placed, remember_splits, within
from tasks.data.formats.source import Source
from tasks.data.split import shares
from tasks.data.store import build, heading, lines, read_rows, record, swap, write_json, write_rows
from tasks.data.version import folder_version, verify, versions
from tasks.page import log, show, show_table
from tasks.workspace import root


@dataclass(frozen=True, slots=True)
class Request:
    """What an ingest was asked for. source: absolute.  retry: a rejected.csv, or ''.  forget: dataset names."""

    source: str
    dataset: str
    format: str
    split: str
    tolerance: float
    retry: str
    forget: tuple[str, ...]


def request(source: str, dataset: str, format: str, split: str, tolerance: float, retry: str, forget: str) -> Request:
    """The request, checked before any work. A retry needs no source: the ingest before it left its own.

    A relative source is looked for where the command was given, then in the project's root (where apps run).
    """
    place = folder_of(dataset)
    if place.exists() and not (place / "dataset.yaml").exists():
        raise Fault(f"{place}: is there already and no dataset (no dataset.yaml). Move it away first.")
    formats.check_format(format)
    shares(split)
    if not 0 <= tolerance <= 1:
        raise Fault(f"tolerance {tolerance}: a share between 0 and 1 (5 % is 0.05)")
    if retry and not source:
        source, format = _asked_before(dataset, format)
    path = Path(source) if _there(Path(source)) else root() / source
    if not source or not _there(path):
        places = " and ".join(dict.fromkeys(map(str, (Path.cwd(), root()))))
        hint = " `make demo` makes it." if path.is_relative_to(root() / "demo") else ""
        raise Fault(f"{short(source, 200) or 'source'}: there is no such file or folder (looked in {places}).{hint}")
    if path.resolve().is_relative_to((root() / "data").resolve()):
        raise Fault(f"{path}: lies in data/, which holds what ingests make. Move the source out of it first.")
    names = tuple(name for name in re.split(r"[,\s]+", forget) if name)
    recordable(dataset, names)
    return Request(str(path.resolve()), dataset, format, split, tolerance, retry, names)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long to be a path
        return False


def _asked_before(dataset: str, format: str) -> tuple[str, str]:
    path = record(dataset) / "ingest.json"
    if not path.exists():
        raise Fault(f"{dataset}: it is not known here what it was ingested from. Give the source with --retry.")
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        return str(before["source"]), str(before["format"]) if format == "auto" else format
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Fault(f"{path}: broken. Give the source and the --format with --retry.") from None


@task(cache_policy=NO_CACHE, task_run_name="read")
def read(request: Request) -> Source:
    """Recognise the source's format and read its labels; no picture is opened."""
    return formats.read(Path(request.source), request.format)


@task(cache_policy=NO_CACHE, task_run_name="check")
def check(request: Request, source: Source) -> Draft:
    """Look at every picture and box; write what is left out and what was mended into CSV files.

    A retry's rows are written when its version is recorded: until then those before it are the true ones, and
    likely its own input.  Raises Fault when more than the tolerated share is left out; by a retry: is left out anew.
    """
    if request.retry:
        return _retried(request, source)
    drafted = draft(request.dataset, source)
    _keep_rows(drafted)
    within(drafted, request.tolerance, record(request.dataset) / "rejected.csv")
    return drafted


def _retried(request: Request, source: Source) -> Draft:
    """What a retry makes of the dataset. Raises Fault when that is not the version which data.dvc names."""
    verify(request.dataset)
    rows = read_rows(Path(request.retry))
    kept = [record(request.dataset) / file for file in ("rejected.csv", "repaired.csv")]
    before, repaired = (read_rows(path) if path.exists() else () for path in kept)
    drafted = mended(named_dataset(request.dataset), source, rows, before, repaired)
    within(fresh(drafted, (*rows, *before)), request.tolerance)
    return drafted


def _keep_rows(draft: Draft) -> None:
    """Write what was left out and what was mended where people look for it."""
    write_rows(record(draft.name) / "rejected.csv", draft.rejected)
    write_rows(record(draft.name) / "repaired.csv", draft.repaired)


@task(cache_policy=NO_CACHE, task_run_name="split")
def split(request: Request, draft: Draft) -> Draft:
    """Decide where each image that is new goes; every other one stays where it was."""
    return placed(draft, request.split)


@task(cache_policy=NO_CACHE, task_run_name="write")
def write(draft: Draft) -> str:
    """Build the dataset beside its place and answer that folder; '' when the one in place is the same."""
    head = heading(draft.name, draft.task, draft.exclusive, draft.concepts)
    place = folder_of(draft.name)
    texts = {"dataset.yaml": head, "annotations.jsonl": lines(draft.annotations)}
    same = all(_content(place / file) == text.encode() for file, text in texts.items())
    if same and folder_version(place) == versions().get(draft.name):
        return ""
    files = {image.annotation.image: image.file for image in draft.images}
    return str(build(draft.name, head, draft.annotations, files))


@task(cache_policy=NO_CACHE, task_run_name="version")
def version(request: Request, draft: Draft, format: str, built: str) -> Ingested:
    """Put the files into DVC's cache, the dataset into its place, and its version into data.dvc."""
    staged = stage(draft.name, Path(built) if built else None, request.forget)
    found = point(staged, partial(swap, draft.name) if built else None)
    if request.retry:
        _keep_rows(draft)
    remember_splits(draft.name, draft.annotations)
    asked = {"source": request.source, "format": format, "dataset_version": found.dataset_version}
    write_json(record(draft.name) / "ingest.json", asked)
    return account(draft, format, found, changed=bool(built))


@task(cache_policy=NO_CACHE, task_run_name="report")
def report(ingested: Ingested, draft: Draft) -> None:
    """Show in the Prefect UI what came in, by split and concept, and what did not, with the reasons."""
    name = f"ingest-{ingested.dataset}"
    show_table(counts(draft), f"{name}-concepts", f"{ingested.dataset} by split and concept")
    show(told(ingested, draft), name, f"ingest of {ingested.dataset}")
    log(ingested.sentence())


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
