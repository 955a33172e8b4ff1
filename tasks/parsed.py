"""YAML that people and other programs wrote."""

from __future__ import annotations

from typing import Any

import yaml

from models.runtime.faults import short


def parsed(text: str | bytes) -> Any:
    """The value of a YAML text (bytes: UTF-8). Raises ValueError, in one line, for what is none."""
    try:
        return yaml.safe_load(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    # Beside its own errors PyYAML lets out what `!!int ''`, `!!bool x`, a 13th month and deep nesting raise in Python.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(short(" ".join(str(error).split()) or type(error).__name__, 300)) from None
