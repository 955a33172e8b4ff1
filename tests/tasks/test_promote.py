"""The champion's place goes to the better version, on images that neither it nor the champion was trained on."""

from __future__ import annotations

import pytest

from models.runtime.faults import Fault
from tasks import report
from tasks.app import Gate
from tasks.evaluate import evaluate
from tasks.promote import Promotion, promote
from tasks.registry import Version, client, resolve
from tests.registered import always, numbers, pinned, planned, registered

TALL, WIDE = 0, 1
# Of the four test images three are tall: who always says so is right in 0.75, who says wide in 0.25.
SPLITS = ("train", "train", "val", "val", "test", "test", "test", "train", "test")


class Match:
    """A dataset and a model: versions that always say one concept, and the gate's decisions on them."""

    def __init__(self, folder, splits=SPLITS) -> None:
        self.dataset = pinned(folder / "shapes", splits)
        self.name = f"duel-{next(numbers)}"
        self.seeds = iter(range(100))

    def version(self, says: int, dataset=None) -> Version:
        plan = planned(dataset or self.dataset, self.name, seed=next(self.seeds))
        return registered(plan, always(says))

    def decide(self, candidate: Version, **gate) -> Promotion:
        return promote.fn(candidate, evaluate.fn(candidate, self.dataset, "test"), self.dataset, Gate(**gate))

    def champion(self, says: int, dataset=None) -> Version:
        version = self.version(says, dataset)
        client().set_registered_model_alias(self.name, "champion", str(version.number))
        return version


@pytest.fixture
def match(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "plot_report", lambda *_: [])  # plots take longer than all the rest
    return Match(tmp_path)


def test_the_first_version_becomes_champion(match):
    version = match.version(TALL)
    decision = match.decide(version)
    assert (decision.promoted, decision.champion, decision.candidate) == (True, str(version), str(version))
    assert (decision.metric, decision.candidate_score, decision.champion_score) == ("accuracy", 0.75, None)
    assert decision.why == f"{version} is the first champion of {match.name}: accuracy 0.7500."
    assert resolve(match.name).aliases == ("challenger", "champion")
    assert client().get_model_version(match.name, "1").tags["promotion"] == decision.why


def test_not_even_the_first_when_it_is_below_the_minimum(match):
    version = match.version(WIDE)
    decision = match.decide(version, minimum=0.5)
    assert (decision.promoted, decision.champion) == (False, "")
    assert decision.why == f"{version} stays: its accuracy of 0.2500 is below the gate's minimum of 0.5000."
    assert resolve(match.name).aliases == ("challenger",)


def test_a_better_one_takes_the_place(match):
    old, new = match.champion(WIDE), match.version(TALL)
    decision = match.decide(new)
    assert (decision.promoted, decision.champion, decision.images) == (True, str(new), 4)
    assert (decision.candidate_score, decision.champion_score) == (0.75, 0.25)
    assert decision.why == (
        f"{new} takes the place of {old}: the candidate is better: accuracy 0.75 against the champion's 0.25 (+0.5) "
        "on 4 images, none of which either was trained on."
    )
    assert resolve(match.name).number == 2
    assert resolve(str(old)).aliases == ()


def test_a_worse_one_does_not(match):
    old, new = match.champion(TALL), match.version(WIDE)
    decision = match.decide(new)
    assert (decision.promoted, decision.champion) == (False, str(old))
    assert decision.why.startswith(f"{new} does not replace {old}: the candidate is worse: accuracy 0.25 against")
    assert resolve(match.name).number == 1


def test_nor_does_an_equal_one(match):
    match.champion(TALL)
    decision = match.decide(match.version(TALL))
    assert not decision.promoted
    assert "the candidate is no better: accuracy 0.75 against the champion's 0.75 (+0)" in decision.why


@pytest.mark.parametrize(("needed", "promoted"), [(0.5, True), (0.51, False)])
def test_it_must_be_better_by_as_much_as_the_gate_says(match, needed, promoted):
    match.champion(WIDE)
    decision = match.decide(match.version(TALL), min_improvement=needed)
    assert decision.promoted == promoted
    assert decision.why.endswith(f" It had to be better by {needed}.")


def test_the_champion_itself_is_told_so(match):
    version = match.champion(TALL)
    decision = match.decide(version)
    assert (decision.promoted, decision.champion) == (False, str(version))
    assert decision.why == f"{version} is the champion already: accuracy 0.7500."


def test_what_the_champion_was_trained_on_does_not_count(match, tmp_path):
    # The champion learned from two of the tall test images; of the two that are left one is tall.
    other = pinned(tmp_path / "other", ("test", "val", "val", "test", "train", "test", "test", "train", "train"))
    match.champion(WIDE, other)
    decision = match.decide(match.version(TALL))
    assert (decision.images, decision.candidate_score, decision.champion_score) == (2, 0.5, 0.5)
    assert not decision.promoted


def test_what_the_candidate_was_trained_on_does_not_count_either(match, tmp_path):
    match.champion(WIDE)
    other = pinned(tmp_path / "other", ("val", "train", "test", "test", "train", "test", "test", "train", "train"))
    decision = match.decide(match.version(TALL, other))
    assert (decision.images, decision.candidate_score, decision.champion_score) == (2, 0.5, 0.5)


def test_where_no_image_is_fair_it_stays(match, tmp_path):
    other = pinned(tmp_path / "other", ("test", "test", "test", "test", "train", "train", "val", "test", "train"))
    old = match.champion(WIDE, other)
    new = match.version(TALL)
    decision = match.decide(new)
    assert (decision.promoted, decision.images, decision.champion) == (False, 0, str(old))
    assert decision.why == f"{new} stays: there is no test image that neither it nor {old} was trained on."


def test_another_metric_decides_where_the_gate_names_one(match):
    match.champion(WIDE)
    decision = match.decide(match.version(TALL), metric="macro_recall")
    assert (decision.metric, decision.candidate_score, decision.champion_score) == ("macro_recall", 0.5, 0.5)
    assert not decision.promoted


def test_a_metric_that_was_not_measured_is_refused(match):
    with pytest.raises(Fault, match=r"gate: there is no metric 'map_50' here\. There are: accuracy, "):
        match.decide(match.version(TALL), metric="map_50")
