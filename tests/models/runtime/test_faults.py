"""A message about an unknown name lists what there is and the nearest."""

import pytest

from models.runtime.faults import choices


@pytest.mark.parametrize(
    ("given", "known", "says"),
    [
        ("hial", ["wind", "hail"], "Known: hail, wind. Did you mean 'hail'?"),
        ("xyz", ["hail", "wind"], "Known: hail, wind."),
        ("", ["hail"], "Known: hail."),
        ("hail", [], "Known: none."),
        ("hial", iter(["hail"]), "Known: hail. Did you mean 'hail'?"),
    ],
)
def test_choices(given, known, says):
    assert choices(given, known) == says


def test_choices_say_what_is_listed():
    assert choices("a", ["b"], "Registered") == "Registered: b."
