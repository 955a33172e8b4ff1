"""A run's page in the Prefect UI: what it says and shows. Outside a run (a test, a notebook) nothing is shown."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import TaskRunContext
from prefect.exceptions import MissingContextError


def log(sentence: str) -> None:
    """A line in the run's log."""
    try:
        get_run_logger().info("%s", sentence)
    except MissingContextError:
        logging.getLogger(__name__).info("%s", sentence)


def show(markdown: str, name: str, what: str, pictures: Sequence[Path] = ()) -> None:
    """Text with tables and pictures on the run's page, and under Artifacts by its name."""
    if TaskRunContext.get() is not None:
        text = "\n\n".join([markdown, *map(_embedded, pictures)])
        create_markdown_artifact(text, key=_key(name), description=what)


def show_table(rows: Sequence[dict[str, Any]], name: str, what: str) -> None:
    """A table on the run's page, and under Artifacts by its name."""
    if TaskRunContext.get() is not None:
        create_table_artifact(list(rows), key=_key(name), description=what)


def _embedded(picture: Path) -> str:
    """The picture itself in the text: Prefect keeps no files, and its page fetches none from here."""
    content = base64.b64encode(picture.read_bytes()).decode()
    kind = "jpeg" if picture.suffix == ".jpg" else picture.suffix[1:]
    return f"![{picture.stem.replace('_', ' ')}](data:image/{kind};base64,{content})"


def _key(name: str) -> str:
    """Prefect's artifact keys are lower-case letters, digits and dashes; a hash stands for what other letters say."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return key if name.isascii() else f"{key}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")
