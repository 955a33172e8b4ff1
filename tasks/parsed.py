"""YAML that people and other programs wrote."""

from __future__ import annotations

from typing import Any

import yaml

from models.runtime.faults import short

MERGE = "tag:yaml.org,2002:merge"  # a `<<`
MERGED = 100_000  # keys that `<<` may bring into all mappings of a text: ten lines can ask for a billion


class _Once(yaml.SafeLoader):
    """YAML in which a key that stands twice is wrong: the first would be lost without a word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.looked_at: set[int] = set()  # nodes, which all live as long as this
        self.merged = 0

    def flatten_mapping(self, node: Any) -> None:
        """Each mapping comes here before it is made, one that others merge more often: by then it has their keys."""
        if id(node) not in self.looked_at:
            self.looked_at.add(id(node))
            _check_once(node)
        for key, value in node.value:
            if key.tag == MERGE:
                self._count(node, value.value if isinstance(value, yaml.SequenceNode) else [value])
        super().flatten_mapping(node)

    def _count(self, node: Any, sources: list[Any]) -> None:
        """Before they are merged, as that is what takes the time."""
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                self.flatten_mapping(source)
                self.merged += len(source.value)
                if self.merged > MERGED:
                    raise yaml.YAMLError(
                        f"`<<` in line {node.start_mark.line + 1} and before brings in over {MERGED} keys"
                    )


def _check_once(node: Any) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if key.value in seen:
                raise yaml.YAMLError(
                    f"the key {short(key.value)!r} stands twice, again in line {key.start_mark.line + 1}"
                )
            seen.add(key.value)


def parsed(text: str | bytes) -> Any:
    """The value of a YAML text (bytes: UTF-8). Raises ValueError, in one line, for what is none."""
    try:
        return _Once(text.decode("utf-8-sig") if isinstance(text, bytes) else text).get_single_data()
    # Beside its own errors PyYAML lets out what `!!int ''`, `!!bool x`, a 13th month and deep nesting raise in Python.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(short(" ".join(str(error).split()) or type(error).__name__, 300)) from None
