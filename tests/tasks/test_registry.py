"""Names to versions: every way to write one, and what is said of one that is not there."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from models.runtime.card import Card
from models.runtime.faults import Fault
from tasks.registry import (
    client,
    make_champion,
    note,
    resolve,
    set_alias,
    trained,
    versions,
)
from tests.registered import numbers, pinned, planned, registered


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """A model of three versions; nobody is champion, the newest is challenger."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        dataset = pinned(folder / "shapes")
        name = f"roofs-{next(numbers)}"
        for seed in range(3):
            registered(planned(dataset, name, seed=seed))
    return name


@pytest.fixture
def champion(name):
    """The second version is champion, for one test."""
    set_alias(resolve(f"{name}/2"), "champion")
    yield f"{name}/2"
    client().delete_registered_model_alias(name, "champion")


def test_a_number_is_that_version(name):
    assert [str(resolve(f"{name}/{number}")) for number in (1, 2, 3)] == [f"{name}/{n}" for n in (1, 2, 3)]


def test_an_alias_is_the_version_it_points_at_now(name):
    assert str(resolve(f"{name}@challenger")) == f"{name}/3"
    set_alias(resolve(f"{name}/1"), "challenger")
    assert str(resolve(f"{name}@challenger")) == f"{name}/1"
    set_alias(resolve(f"{name}/3"), "challenger")
    assert resolve(f"{name}/1").aliases == ()


def test_a_name_alone_is_the_newest_without_a_champion(name):
    assert str(resolve(name)) == f"{name}/3"


def test_a_name_alone_is_the_champion(name, champion):
    assert str(resolve(name)) == champion
    assert resolve(name).aliases == ("champion",)


def test_a_version_is_made_champion_by_hand_and_keeps_why(name, champion):
    why = make_champion(resolve(f"{name}/1"))
    assert why == f"{name}/1 was made champion by hand, in the place of {champion}."
    assert str(resolve(name)) == f"{name}/1"
    assert client().get_model_version(name, "1").tags["promotion"] == why
    assert make_champion(resolve(name)) == f"{name}/1 is the champion already."


def test_an_unknown_name_is_told_the_nearest(name):
    nearest = rf"there is no model '{name[:-1]}x'\. Registered: .*{name}.*\. Did you mean '{name[:5]}"
    with pytest.raises(Fault, match=nearest):
        resolve(f"{name[:-1]}x")


def test_an_unknown_alias_is_told_the_nearest(name, champion):
    known = rf"{name} has no alias 'champoin'\. Known: challenger, champion\. Did you mean 'champion'\?"
    with pytest.raises(Fault, match=known):
        resolve(f"{name}@champoin")


@pytest.mark.parametrize("number", ["7", "0", "-1", "99999999999999999999", "٣"])
def test_an_unknown_number_is_told_those_there_are(name, number):
    with pytest.raises(Fault, match=rf"{name} has no version {number}\. There are: 1, 2, 3\."):
        resolve(f"{name}/{number}")


@pytest.mark.parametrize(
    "reference", ["{name}/" + "9" * 5000, "{name}@" + "a" * 5000, "{name}" + "a" * 5000, "/" * 5000]
)
def test_what_is_very_long_is_cut_in_what_is_told(name, reference):
    with pytest.raises(Fault, match="…") as told:
        resolve(reference.format(name=name))
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize("reference", ["", "\ud800", "a@b@c", "a/b", "a/1/2", "models:/a/1", "a@"])
def test_what_is_no_reference_is_told_how_to_write_one(reference):
    with pytest.raises(Fault, match=r"is no model\. Write name, name@alias or name/number, as in roofs-detector@champ"):
        resolve(reference)


@pytest.mark.parametrize("reference", ["/1", "./nothing", "/" + "a" * 9000])
def test_a_path_that_is_no_versions_folder_is_told_so(reference):
    with pytest.raises(Fault, match=r"there is no card\.json, so these are not the files of a registered version"):
        resolve(reference)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"type": "nosuch"}, r"there is no type 'nosuch'\. Known: "),
        ({"type": 3}, "type: Input should be a valid string, got '3'"),
        ({"threshold": "nan"}, "threshold: Input should be a valid number, got 'nan'"),
        ({"parameters": []}, "parameters: Input should be an object"),
        ({"parameters": {"concepts": 5}}, "parameters.concepts: Input should be a valid list, got '5'"),
    ],
)
def test_a_card_with_values_of_other_kinds_is_refused(tmp_path, changed, told):
    card = Card("visual-classifier", "resnet18", ("a", "b"), 32, (0.5,) * 3, (0.5,) * 3)
    (tmp_path / "card.json").write_text(json.dumps(json.loads(card.to_json()) | changed))
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(Fault, match=rf"card\.json: not a model card \({told}"):
        resolve(str(tmp_path))


def test_a_quotation_mark_is_refused():
    injected = "roofs' or name like '%"
    with pytest.raises(Fault, match="there is no model"):
        resolve(injected)
    for look in (versions, lambda given: trained(given, "")):
        with pytest.raises(Fault, match="is no model's name: it holds a quotation mark"):
            look(injected)


def test_a_model_without_versions_says_so():
    empty = f"empty-{next(numbers)}"
    client().create_registered_model(empty)
    with pytest.raises(Fault, match=f"{empty} has no version yet"):
        resolve(empty)


def test_versions_are_listed_by_number_with_their_aliases(name, champion):
    found = versions(name)
    assert [(version.number, version.aliases) for version in found] == [
        (1, ()),
        (2, ("champion",)),
        (3, ("challenger",)),
    ]
    assert {version.name for version in versions()} >= {name}
    assert versions("nobody") == ()


def test_the_version_that_a_plan_made_is_found(name):
    digests = {number: client().get_model_version(name, str(number)).tags["plan"] for number in (1, 2, 3)}
    assert {number: trained(name, digest).number for number, digest in digests.items()} == {1: 1, 2: 2, 3: 3}
    assert trained(name, "0" * 32) is None
    assert trained("nobody", digests[1]) is None


def test_measured_numbers_are_the_versions(name):
    version = resolve(f"{name}/1")
    note(version, **{"test.map_50": 0.5, "val.f1": 0.25, "promotion": "no"})
    assert resolve(f"{name}/1").metrics == {"test.map_50": 0.5, "val.f1": 0.25}


def test_other_peoples_tags_are_no_metrics(name):
    version = resolve(f"{name}/1")
    note(version, test="yes", **{"test.accuracy": 0.5, "test.reviewed": "by Ann", "test.on": "2024-01-02"})
    assert not {"test", "test.reviewed", "test.on"} & resolve(f"{name}/1").metrics.keys()
    assert resolve(f"{name}/1").metrics["test.accuracy"] == 0.5


def test_it_is_known_when_a_version_was_registered(name):
    assert datetime.fromisoformat(resolve(f"{name}/1").created) <= datetime.now(UTC)
