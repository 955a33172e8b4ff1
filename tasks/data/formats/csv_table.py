"""CSV: a row a picture, `path,concepts`, `image_path,label` or the hosted platform's
`inputid,input,concepts,metadata,geopoints`. Separated by comma, semicolon or tab; UTF-8, with or without its mark.
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from models.runtime.faults import Fault, listed, short
from tasks.data.annotations import SPLITS
from tasks.data.formats.broken import broken
from tasks.data.formats.claims import Claim
from tasks.data.formats.csv_rows import LABELS, PATHS, column_of, concepts_of, metadata_of, split_of
from tasks.data.formats.files import Files, Missing
from tasks.data.formats.names import split_of_file
from tasks.data.formats.source import Labelled, Rejected, Source
from tasks.data.formats.splits import settle

FORMS = "path,concepts or image_path,label or inputid,input,concepts,metadata,geopoints"


@dataclass(slots=True)
class Table:
    """One CSV file. rows: (line, value by column) of those with as many fields as the header has.

    path_column, label_column: as the header spells them.  uneven: (line, number of fields) of the other rows.
    """

    name: str
    path_column: str
    label_column: str
    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]
    uneven: list[tuple[int, int]]


@dataclass(slots=True)
class Found:
    """What all rows together say of one picture, while they are read."""

    where: str
    concepts: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


def claim(files: Files) -> Claim | None:
    """A known header above a picture of the source, or above a URL."""
    spoken: set[str] = set()
    concepts: set[str] = set()
    seen = []
    for path in files.ending(".csv", ".tsv"):
        try:
            table = _table(files, path)
        except Fault:
            seen.append(f"{path}, which is not UTF-8 text")
            continue
        said = [row[table.path_column] for _, row in table.rows] if table else []
        found = {name for name in files.find(said, _bases(path), strip=True) if isinstance(name, str)}
        if table and (found or any(map(_is_url, said))):
            spoken |= found
            if column_of(table.columns, "split") is None:  # with one it says all that folders could, and more
                concepts.update(row[table.label_column].strip() for _, row in table.rows)
            seen.append(f"{path} with the columns {listed(table.columns)}")
    return Claim(" and ".join(seen[:3]), frozenset(spoken), frozenset(concepts)) if seen else None


def read(files: Files) -> Source:
    """All CSV files of a known form as one; pictures that no row names are rejected.

    Rows of one picture are put together. `concepts` are separated by `,` `;` or `|`. A column `split` is honoured,
    else a file's name is (`train.csv`, `test.csv`); every other column becomes metadata.
    Raises Fault when there is no such file, when one cannot be read, and when a path is a URL.
    """
    tables = [table for path in files.ending(".csv", ".tsv") if (table := _table(files, path))]
    if not tables:
        wrong = broken(files, ".csv", ".tsv")
        raise Fault(f"{files.root}: there is no CSV with the columns {FORMS}.{wrong} There is: {_headers(files)}")
    images: dict[str, Found] = {}
    rejected: list[Rejected] = []
    named: set[str] = set()
    for table in tables:
        _refuse_urls(files, table)
        named |= _read_table(files, table, images, rejected)
    spoken = {row.path for row in rejected} | set(images)
    if not files.only:
        reason = "no annotation: no row names it"
        rejected += [Rejected(path, "", "image", reason) for path in files.pictures if path not in spoken]
    splits, remark = settle({name: found.splits for name, found in images.items()}, named)
    known = sorted({name for found in images.values() for name in found.concepts})
    exclusive = all(len(found.concepts) == 1 for found in images.values())
    labelled = tuple(
        Labelled(files.root / name, name, found.where, splits.get(name), tuple(found.concepts), metadata=found.metadata)
        for name, found in sorted(images.items())
    )
    rows = sum(len(table.rows) for table in tables)
    seen = f"{', '.join(table.name for table in tables)} with {rows} rows of {listed(tables[0].columns)}"
    note = "; ".join(filter(None, (seen, remark)))
    return Source("csv", "classification", exclusive, tuple(known), labelled, tuple(rejected), note)


def _table(files: Files, path: str) -> Table | None:
    """A CSV file's rows; None when its header is of no known form.

    Raises Fault when it is of a known form but not to be read on.
    """
    columns = _header(files.root / path)
    path_column, label_column = column_of(columns, *PATHS), column_of(columns, *LABELS)
    if path_column is None or label_column is None:
        return None
    table = Table(path, path_column, label_column, columns, [], [])
    try:
        with (files.root / path).open(encoding="utf-8-sig", newline="") as file:
            # strict: else a quote that is never closed makes one concept of all the rows after it.
            rows = csv.reader(file, delimiter=_delimiter(file.readline()), strict=True)
            file.seek(0)
            for fields in islice(rows, 1, None):
                if len(fields) == len(columns):
                    table.rows.append((rows.line_num, dict(zip(columns, fields, strict=True))))
                elif fields:
                    table.uneven.append((rows.line_num, len(fields)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Fault(f"{files.root / path}: not UTF-8 text in quoted fields ({error}). Save it as CSV UTF-8") from None
    return table


def _read_table(files: Files, table: Table, images: dict[str, Found], rejected: list[Rejected]) -> set[str]:
    """Add a file's rows to the images. Answers the splits that it names."""
    own = split_of_file(posixpath.splitext(posixpath.basename(table.name))[0])
    found = files.find([row[table.path_column] for _, row in table.rows], _bases(table.name), strip=True)
    for (line, row), name in zip(table.rows, found, strict=True):
        where = f"{table.name}:{line}"
        if isinstance(name, Missing):
            rejected.append(Rejected(name.path or row[table.path_column], where, "image", str(name)))
            continue
        try:
            if "\n" in row[table.label_column]:
                raise ValueError("no concept: a line break in it (a quote that is not closed?)")
            concepts, metadata, split = concepts_of(row), metadata_of(row), split_of(row) or own
        except ValueError as error:
            rejected.append(Rejected(name, where, "row", str(error)))
            continue
        image = images.setdefault(name, Found(where))
        image.concepts += [text for text in concepts if text not in image.concepts]
        image.metadata |= metadata
        image.splits += filter(None, (split,))
    for line, count in table.uneven:
        reason = f"uneven: {count} fields and {len(table.columns)} columns (several concepts need quotes around them)"
        rejected.append(Rejected(table.name, f"{table.name}:{line}", "row", reason))
    return set(SPLITS) if column_of(table.columns, "split") else set(filter(None, (own,)))


def _refuse_urls(files: Files, table: Table) -> None:
    for line, row in table.rows:
        said = row[table.path_column]
        if _is_url(said):
            raise Fault(
                f"{files.root / table.name}:{line}: {short(said.strip())!r} is a URL, and pictures are read from files "
                f"only. Download them and put their paths into the column {table.path_column}. "
                "URLs will be allowed with `--allow-host HOST` in a later version"
            )


def _is_url(text: str) -> bool:
    return re.match(r"\s*[a-z][a-z0-9+.-]+://", text, re.IGNORECASE) is not None


def _bases(path: str) -> tuple[str, str]:
    return posixpath.dirname(path), ""


def _header(path: Path) -> tuple[str, ...]:
    """The columns of a CSV file; none when it is not text."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            line = file.readline(10_000)
            return tuple(column.strip() for column in next(csv.reader([line], delimiter=_delimiter(line)), []))
    except csv.Error:
        return ()


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _headers(files: Files) -> str:
    """The CSV files there are, with their columns."""
    found = [f"{path} with {listed(_header(files.root / path))}" for path in files.ending(".csv", ".tsv")]
    return "; ".join(found[:5]) or files.counts
