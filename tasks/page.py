"""A run's page in the Prefect UI: what it says and shows. Outside a run (a test, a notebook) nothing is shown."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import TaskRunContext
from prefect.exceptions import MissingContextError

LARGE = 500_000  # bytes of a picture; larger ones are shown smaller
PAGE = 960  # pixels


def flow_run() -> str:
    """The id of the flow's run that this is part of; empty outside one."""
    from prefect.runtime import flow_run

    return str(flow_run.id or "")


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


def linked(markdown: str, address: str, file: Path) -> str:
    """A page's text with a line below its heading that leads to the HTML file: in MLflow, and on this disk."""
    heading, _, rest = markdown.partition("\n\n")
    link = f"[The report, with threshold, pictures and charts]({address}), " if address else ""
    return f"{heading}\n\n{link}file `{file}`\n\n{rest}"


def show_table(rows: Sequence[dict[str, Any]], name: str, what: str) -> None:
    """A table on the run's page, and under Artifacts by its name."""
    if TaskRunContext.get() is not None:
        create_table_artifact(list(rows), key=_key(name), description=what)


def _embedded(picture: Path) -> str:
    """The picture itself in the text: Prefect keeps no files, and its page fetches none from here."""
    content = picture.read_bytes()
    kind = "jpeg" if picture.suffix == ".jpg" else picture.suffix[1:]
    if len(content) > LARGE:
        content, kind = _smaller(content), "jpeg"
    encoded = base64.b64encode(content).decode()
    return f"![{picture.stem.replace('_', ' ')}](data:image/{kind};base64,{encoded})"


def _smaller(content: bytes) -> bytes:
    """The picture at the width of a page: what a drone took would make a row of Prefect's database of 20 MB."""
    buffer = BytesIO()
    with Image.open(BytesIO(content)) as image:
        image.thumbnail((PAGE, PAGE))
        image.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _key(name: str) -> str:
    """Prefect's artifact keys are lower-case letters, digits and dashes; a hash stands for what other letters say."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return key if name.isascii() else f"{key}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")
