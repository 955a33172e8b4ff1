"""A card says all that is needed to answer, survives its file, and a file that is none is refused."""

import pytest

from models.runtime.card import Card
from models.runtime.faults import Fault

CARD = Card(
    type="visual-detector",
    template="fcos_light",
    concepts=("Hagel ❄", "wind"),
    image_size=320,
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.2),
    threshold=0.35,
    dataset="roofs",
    dataset_version="0" * 32 + ".dir",
    parameters={"epochs": 3, "learning_rate": 1e-3},
)


def test_round_trip(tmp_path):
    path = tmp_path / "card.json"
    path.write_text(CARD.to_json(), encoding="utf-8")
    assert Card.read(path) == CARD
    assert "Hagel ❄" in path.read_text(encoding="utf-8")


def test_with_changes_one_field_of_a_copy():
    changed = CARD.with_(threshold=0.7)
    assert (changed.threshold, CARD.threshold) == (0.7, 0.35)
    assert changed.with_(threshold=0.35) == CARD


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        CARD.to_json().replace('"image_size"', '"size"'),
        CARD.to_json().replace('"template": "fcos_light",', ""),
    ],
)
def test_a_file_that_is_no_card(tmp_path, content):
    path = tmp_path / "card.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Fault, match=r"card\.json: not a model card \(.+\)"):
        Card.read(path)


def test_no_card(tmp_path):
    with pytest.raises(Fault, match=r"card\.json: not a model card \(.*No such file"):
        Card.read(tmp_path / "card.json")
