"""What the value of an option may be: wrong use is said at once, before anything is loaded or started."""

from __future__ import annotations

import typer


def a_split(given: str) -> str:
    """Splits of a dataset, each of which there is, and each once."""
    from models.runtime.faults import choices
    from tasks.data.annotations import SPLITS

    for part in given.split("+"):
        if part not in SPLITS:
            raise typer.BadParameter(f"there is no split {part!r}. {choices(part, SPLITS)}")
    return "+".join(dict.fromkeys(given.split("+")))


def a_share(given: str | float) -> float:
    """A number above 0 and at most 1."""
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise typer.BadParameter(f"a number above 0 and at most 1 is wanted, got {given!r}")
    return value
