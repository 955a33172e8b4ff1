"""The one kind of error that is meant for a person."""

import difflib
from collections.abc import Iterable
from reprlib import repr as brief

SHOWN = 20  # names of a long list


class Fault(Exception):
    """What is wrong, where, what was given and what to do, in words a user can act on.

    The command line prints it as it stands, without a traceback, and exits with 1.
    """


def short(value: object, most: int = 80) -> str:
    """A user's name or value as a message quotes it: its two ends where it is longer than `most` characters.

    What is no text is cut before it is written out: aliases make a few lines of YAML a billion names.
    """
    try:
        text = value if isinstance(value, str) else brief(value)
    except ValueError:  # Python's own, of a number with thousands of digits
        text = "a very long number"
    tail = most // 4
    return text if len(text) <= most else f"{text[: most - tail - 1]}…{text[-tail:]}"


def listed(names: Iterable[object], most: int = SHOWN) -> str:
    """Names as a message lists them: the first few, each cut, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(map(short, every[:most])) + more


def choices(given: str, known: Iterable[str], what: str = "Known") -> str:
    """The names there are, and the nearest one: the end of every message about an unknown name.

    >>> choices("hial", ["hail", "wind"])
    "Known: hail, wind. Did you mean 'hail'?"
    """
    names = sorted(known)
    if not names:
        return f"{what}: none."
    near = difflib.get_close_matches(given[:200], names, n=1)
    return f"{what}: {listed(names)}." + (f" Did you mean {short(near[0])!r}?" if near else "")
