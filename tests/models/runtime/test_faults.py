"""A message about an unknown name lists what there is and the nearest."""

import pytest

from models.runtime.faults import choices, short


@pytest.mark.parametrize(
    ("given", "known", "says"),
    [
        ("hial", ["wind", "hail"], "Known: hail, wind. Did you mean 'hail'?"),
        ("xyz", ["hail", "wind"], "Known: hail, wind."),
        ("", ["hail"], "Known: hail."),
        ("hail", [], "Known: none."),
        ("hial", iter(["hail"]), "Known: hail. Did you mean 'hail'?"),
        ("x" * 5000, ["y" * 200], f"Known: {'y' * 59}…{'y' * 20}."),
        ("?", [f"{i:03}" for i in range(1000)], f"Known: {', '.join(f'{i:03}' for i in range(20))} and 980 more."),
    ],
)
def test_choices(given, known, says):
    assert choices(given, known) == says


def test_choices_say_what_is_listed():
    assert choices("a", ["b"], "Registered") == "Registered: b."


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a" * 80, "a" * 80),
        ("a" * 81, f"{'a' * 59}…{'a' * 20}"),
        (12, "12"),
        ([["x" * 99]] * 9, "[['xxxxxxxxxxxx...xxxxxxxxxxxxx'], ['xxxxxxxxxxxx...xxxxxxx…xxxxxxxxxxxx'], ...]"),
    ],
)
def test_what_a_message_quotes_is_cut(value, says):
    assert short(value) == says


def test_a_number_of_thousands_of_digits_is_named_all_the_same():
    assert short(10**5000) == "a very long number"
