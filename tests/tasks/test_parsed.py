"""YAML that people wrote is read, and what is none, or would never end, is told in a line."""

from __future__ import annotations

import time

import pytest

from tasks.parsed import parsed


@pytest.mark.parametrize("text", ["a: 1\nb: [x, {c: 2}]", b"\xef\xbb\xbfa: 1\nb: [x, {c: 2}]"])
def test_yaml_is_read_with_a_mark_before_it_too(text):
    assert parsed(text) == {"a": 1, "b": ["x", {"c": 2}]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", r"the key 'a' stands twice, again in line 2"),
        ("a: [1", "expected ',' or ']'"),
        (b"\xff\xfea", "can't decode byte"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("!!int ''", "."),
    ],
)
def test_what_is_no_yaml_is_told_in_one_line(text, told):
    with pytest.raises(ValueError, match=told) as fault:
        parsed(text)
    assert "\n" not in str(fault.value) and len(str(fault.value)) <= 300


def test_merged_keys_are_read_and_those_named_again_count():
    assert parsed("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")["b"] == {"x": 1, "y": 3}
    assert parsed("a: &a {k: 1}\nx: {y: &b {<<: *a, k: 2}}\nc: {<<: *b}")["c"] == {"k": 2}
    with pytest.raises(ValueError, match="the key 'k' stands twice"):
        parsed("x: {y: &b {k: 1, k: 2}}\nc: {<<: *b}")


def lines(steps: int, wide: int) -> str:
    """Each step's mapping merges the one before so many times."""
    merges = (f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * wide)}]}}" for i in range(1, steps))
    return "\n".join(["a0: &a0 {k: 1}", *merges])


@pytest.mark.parametrize("text", [lines(10, 10), lines(3, 20_000), "a: &a {<<: *a}"], ids=["deep", "wide", "itself"])
def test_lines_that_merge_a_billion_keys_are_refused_at_once(text):
    began = time.process_time()
    with pytest.raises(ValueError, match=r"`<<` in line \d and before brings in over 100000 keys|recursion"):
        parsed(text)
    assert time.process_time() - began < 5
