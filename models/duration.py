"""A time in words, for whoever waits; imports nothing, so that a command can say it at once."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """For a person: `40 s`, `12 min`, `3 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
