"""Files that would say something of pictures, and cannot be parsed: told where nothing else was found."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable
from typing import Any

from tasks.data.formats.files import Files
from tasks.parsed import parsed

PARSERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    ".json": ("broken JSON", json.loads),
    ".csv": ("not UTF-8, as which it must be saved", bytes.decode),
    ".tsv": ("not UTF-8, as which it must be saved", bytes.decode),
    ".yaml": ("not YAML", parsed),
    ".yml": ("not YAML", parsed),
}


def broken(files: Files, *suffixes: str) -> str:
    """The label files that cannot be parsed, each with what is wrong, as the end of a message; empty for none."""
    told = []
    for path in files.ending(*(suffixes or PARSERS)):
        what, parse = PARSERS[posixpath.splitext(path)[1].lower()]
        try:
            parse((files.root / path).read_bytes())
        except (ValueError, RecursionError) as error:
            told.append(f" {path}: {what}: {error}.")
    return "".join(told[:3])
