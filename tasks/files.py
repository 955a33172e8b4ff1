"""Writing a file so that nobody ever reads half of it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write(path: Path, content: bytes | str) -> Path:
    """Put content (text as UTF-8) at a path, whole or not at all: beside it, flushed, then renamed.

    Folders are made. What stood there before stays until the new file is complete. Returns the path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path
