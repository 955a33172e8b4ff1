"""YAML that people and other programs wrote."""

from __future__ import annotations

from typing import Any

import yaml

from models.runtime.faults import short

MERGE = "tag:yaml.org,2002:merge"  # a `<<`
MERGED = 100_000  # keys that `<<` may bring into all mappings of a text: ten lines can ask for a billion


class _Once(yaml.SafeLoader):
    """YAML in which a key that stands twice is wrong: the first would be lost without a word."""

    merged = 0

    def flatten_mapping(self, node: Any) -> None:
        merges = any(key.tag == MERGE for key, _ in node.value)
        super().flatten_mapping(node)
        self.merged += len(node.value) if merges else 0
        if self.merged > MERGED:
            raise yaml.YAMLError(f"`<<` in line {node.start_mark.line + 1} and before brings in over {MERGED} keys")

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.YAMLError(
                        f"the key {short(key.value)!r} stands twice, again in line {key.start_mark.line + 1}"
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parsed(text: str | bytes) -> Any:
    """The value of a YAML text (bytes: UTF-8). Raises ValueError, in one line, for what is none."""
    try:
        return _Once(text.decode("utf-8-sig") if isinstance(text, bytes) else text).get_single_data()
    # Beside its own errors PyYAML lets out what `!!int ''`, `!!bool x`, a 13th month and deep nesting raise in Python.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(short(" ".join(str(error).split()) or type(error).__name__, 300)) from None
