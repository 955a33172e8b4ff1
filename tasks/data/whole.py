"""A folder for people that is there whole or not at all: what an export and a checkout write."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.runtime.faults import Fault, short
from tasks.files import path_of


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A folder beside `target` to be filled; it takes that place in one step, and after a failure nothing is left.

    target: resolved; a new folder or an empty one.  Raises Fault when it cannot be written.
    """
    # Random: what is called so cannot be another's. Cut: a name of 255 letters has no room for more.
    beside = target.with_name(f".{target.name[:40]}.{uuid.uuid4().hex[:8]}.new")
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        beside.mkdir(parents=True)
        yield beside
        beside.replace(target)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        if isinstance(error, OSError):
            raise unusable(error, target, beside) from None
        raise


def unusable(error: OSError, folder: Path, beside: Path | None = None) -> Fault:
    """The fault for what the system says of a folder, of a file that was to go into it, or of one to be read for it."""
    at = path_of(error, folder)
    at = folder if beside and at.is_relative_to(beside) else at
    another = " Choose another folder." if at.is_relative_to(folder) or folder.is_relative_to(at) else ""
    return Fault(f"{short(str(at), 200)}: cannot be read or written ({error.strerror or error}).{another}")
