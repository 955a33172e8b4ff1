"""The one kind of error that is meant for a person."""

import difflib
from collections.abc import Iterable


class Fault(Exception):
    """What is wrong, where, what was given and what to do, in words a user can act on.

    The command line prints it as it stands, without a traceback, and exits with 1.
    """


def brief(text: str) -> str:
    """A user's name or value as a message quotes it: its beginning, where it is very long."""
    return text if len(text) <= 100 else f"{text[:100]}…"


def choices(given: str, known: Iterable[str], what: str = "Known") -> str:
    """The names there are, and the nearest one: the end of every message about an unknown name.

    >>> choices("hial", ["hail", "wind"])
    "Known: hail, wind. Did you mean 'hail'?"
    """
    names = sorted(known)
    if not names:
        return f"{what}: none."
    near = difflib.get_close_matches(given, names, n=1)
    return f"{what}: {', '.join(names)}." + (f" Did you mean {near[0]!r}?" if near else "")
