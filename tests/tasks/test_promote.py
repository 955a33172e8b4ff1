"""The champion's place goes to the better version, on images that neither it nor the champion was trained on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from models.runtime.faults import Fault
from tasks import promote as promotion
from tasks.answers import predictor
from tasks.app import Gate
from tasks.artifacts import artifacts, card
from tasks.data.narrowing import as_learned
from tasks.evaluate import evaluate
from tasks.metrics.compare import compare
from tasks.metrics.detection import detection
from tasks.plan import PinnedDataset
from tasks.promote import Promotion, promote
from tasks.registry import Version, client, resolve, set_alias
from tests.registered import always, numbers, pinned, planned, registered

TALL, WIDE = 0, 1
# Of the four test images three are tall: who always says so is right in 0.75, who says wide in 0.25.
SPLITS = ("train", "train", "val", "val", "test", "test", "test", "train", "test")


class Match:
    """A dataset and versions of a model that always say one concept: one says wide, two say tall."""

    def __init__(self, folder: Path) -> None:
        self.dataset = pinned(folder / "shapes", SPLITS)
        self.name = f"duel-{next(numbers)}"
        self.seeds = iter(range(100))
        self.wide, self.tall, self.twin = (self.version(says) for says in (WIDE, TALL, TALL))

    def version(self, says: int, dataset: PinnedDataset | None = None) -> Version:
        plan = planned(dataset or self.dataset, self.name, seed=next(self.seeds))
        return registered(plan, always(says))

    def decide(self, candidate: Version, **gate) -> Promotion:
        return promote.fn(candidate, evaluate.fn(candidate, self.dataset, "test"), self.dataset, Gate(**gate))


@pytest.fixture(scope="module")
def match(tmp_path_factory):
    folder = tmp_path_factory.mktemp("match")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        return Match(folder)


@pytest.fixture(autouse=True)
def nobody(match):
    """At the start nobody is champion."""
    yield
    client().delete_registered_model_alias(match.name, "champion")


def test_the_first_version_becomes_champion(match):
    decision = match.decide(match.tall)
    assert (decision.promoted, decision.champion, decision.candidate) == (True, str(match.tall), str(match.tall))
    assert (decision.metric, decision.candidate_score, decision.champion_score) == ("accuracy", 0.75, None)
    assert decision.why == f"{match.tall} is the first champion of {match.name}: accuracy 0.7500."
    assert str(resolve(match.name)) == str(match.tall)
    assert client().get_model_version(match.name, str(match.tall.number)).tags["promotion"] == decision.why


def test_not_even_the_first_when_it_is_below_the_minimum(match):
    decision = match.decide(match.wide, minimum=0.5)
    assert (decision.promoted, decision.champion) == (False, "")
    assert decision.why == f"{match.wide} stays: its accuracy of 0.2500 is below the gate's minimum of 0.5000."
    assert resolve(str(match.wide)).aliases == ()


def test_a_better_one_takes_the_place(match):
    set_alias(match.wide, "champion")
    decision = match.decide(match.tall, min_improvement=0)
    assert (decision.promoted, decision.champion, decision.images) == (True, str(match.tall), 4)
    assert (decision.candidate_score, decision.champion_score) == (0.75, 0.25)
    assert decision.why == (
        f"{match.tall} takes the place of {match.wide}: nobody can tell which is better: accuracy 0.75 against the "
        "champion's 0.25 (+0.5; 95 % interval -0.5 to +1) on 4 images (of fewer than 6 nobody can tell), none of which "
        "either was trained on."
    )
    assert str(resolve(match.name)) == str(match.tall)


def test_beyond_doubt_unless_the_gate_says_how_much(match, monkeypatch):
    """On four images nobody can tell, nor were all of them on one side."""
    set_alias(match.wide, "champion")
    decision = match.decide(match.tall)
    assert (decision.promoted, decision.champion) == (False, str(match.wide))
    assert "does not replace" in decision.why and "nobody can tell which is better" in decision.why
    assert decision.why.endswith(
        " The whole interval would have to be on its side (or min_improvement say how much is enough)."
    )
    monkeypatch.setattr(promotion, "compare", partial(changed, low=0.1))
    decision = match.decide(match.tall)
    assert not decision.promoted
    assert "(of fewer than 6 nobody can tell)" in decision.why and "The whole interval" not in decision.why


def changed(champion, candidate, metric, **given):
    """A comparison that came out otherwise."""
    return replace(compare(champion, candidate, metric), **given)


def test_on_enough_images_the_better_one_takes_the_place_and_the_worse_one_does_not(tmp_path):
    """Of twelve test images all are tall: who always says so is right."""
    dataset = pinned(tmp_path, ("test", "train") * 10 + ("test", "val", "test", "train", "train", "val"))
    name = f"duel-{next(numbers)}"
    wide, tall = (registered(planned(dataset, name, seed=says), always(says)) for says in (WIDE, TALL))
    set_alias(wide, "champion")
    decision = promote.fn(tall, evaluate.fn(tall, dataset, "test"), dataset, Gate())
    assert (decision.promoted, decision.champion, decision.images) == (True, str(tall), 12)
    assert f"takes the place of {wide}: the candidate is better: accuracy 1 against the champion's 0" in decision.why
    back = promote.fn(wide, evaluate.fn(wide, dataset, "test"), dataset, Gate())
    assert (back.promoted, back.champion) == (False, str(tall))
    assert "the candidate is worse" in back.why


def loud(network):
    """A detector that is sure of everything."""
    for name, tensor in network.named_parameters():
        if name.endswith("bias"):
            tensor.clamp_(min=1.0)


def test_what_the_champion_says_of_concepts_that_were_taken_away_is_not_wrong(tmp_path):
    dataset = pinned(tmp_path, SPLITS[:9], task="detection")
    name = f"duel-{next(numbers)}"
    champion = registered(planned(dataset, name, seed=4), loud)
    candidate = registered(planned(dataset, name, concepts=["tall"]), loud)
    set_alias(champion, "champion")
    decision = promote.fn(candidate, evaluate.fn(candidate, dataset, "test"), dataset, Gate(metric="precision"))
    narrow = as_learned(dataset.open(), ["tall"])
    entries = narrow.split("test")
    whole = predictor(champion).predict([narrow.path(entry) for entry in entries])
    tall = [found[found.labels == found.concepts.index("tall")] for found in whole]
    assert sum(map(len, tall)) < sum(map(len, whole))
    counted = detection(entries, tall, whole[0].concepts, card(champion).threshold)
    assert decision.champion_score == counted.summary["precision"]


def test_a_worse_one_does_not(match):
    set_alias(match.tall, "champion")
    decision = match.decide(match.wide)
    assert (decision.promoted, decision.champion) == (False, str(match.tall))
    why = (
        f"{match.wide} does not replace {match.tall}: nobody can tell which is better: accuracy 0.25 against the "
        "champion's 0.75"
    )
    assert decision.why.startswith(why)
    assert str(resolve(match.name)) == str(match.tall)


def test_nor_does_an_equal_one(match):
    set_alias(match.tall, "champion")
    decision = match.decide(match.twin)
    assert not decision.promoted
    assert "accuracy 0.75 against the champion's 0.75 (+0; 95 % interval +0 to +0)" in decision.why
    assert decision.why.endswith("none of which either was trained on.")


@pytest.mark.parametrize(("needed", "promoted"), [(0.5, True), (0.51, False)])
def test_it_must_be_better_by_as_much_as_the_gate_says(match, needed, promoted):
    set_alias(match.wide, "champion")
    decision = match.decide(match.tall, min_improvement=needed)
    assert decision.promoted == promoted
    assert decision.why.endswith(f" It had to be better by {needed}.")


def test_a_tenth_is_a_tenth_whatever_floats_make_of_it(match, monkeypatch):
    set_alias(match.wide, "champion")
    monkeypatch.setattr(promotion, "compare", partial(changed, difference=0.9 - 0.8))
    assert match.decide(match.tall, min_improvement=0.1).promoted


def test_the_champion_itself_is_told_so(match):
    set_alias(match.tall, "champion")
    decision = match.decide(match.tall)
    assert (decision.promoted, decision.champion) == (False, str(match.tall))
    assert decision.why == f"{match.tall} is the champion already: accuracy 0.7500."


def test_what_the_champion_was_trained_on_does_not_count(match, tmp_path):
    # It learned from two of the tall test images; of the two that are left one is tall.
    other = pinned(tmp_path / "other", ("test", "val", "val", "test", "train", "test", "test", "train", "train"))
    set_alias(match.version(WIDE, other), "champion")
    decision = match.decide(match.tall)
    assert (decision.images, decision.candidate_score, decision.champion_score) == (2, 0.5, 0.5)
    assert not decision.promoted


def test_what_the_candidate_was_trained_on_does_not_count_either(match, tmp_path):
    set_alias(match.wide, "champion")
    other = pinned(tmp_path / "other", ("val", "train", "test", "test", "train", "test", "test", "train", "train"))
    decision = match.decide(match.version(TALL, other))
    assert (decision.images, decision.candidate_score, decision.champion_score) == (2, 0.5, 0.5)


def test_where_no_image_is_fair_it_stays(match, tmp_path):
    other = pinned(tmp_path / "other", ("test", "test", "test", "test", "train", "train", "val", "test", "train"))
    old = match.version(WIDE, other)
    set_alias(old, "champion")
    decision = match.decide(match.tall)
    assert (decision.promoted, decision.images, decision.champion) == (False, 0, str(old))
    assert decision.why == f"{match.tall} stays: there is no test image that neither it nor {old} was trained on."


def test_another_metric_decides_where_the_gate_names_one(match):
    set_alias(match.wide, "champion")
    decision = match.decide(match.tall, metric="macro_recall")
    assert (decision.metric, decision.candidate_score, decision.champion_score) == ("macro_recall", 0.5, 0.5)
    assert not decision.promoted


def test_a_metric_that_was_not_measured_is_refused(match):
    with pytest.raises(Fault, match=r"gate: there is no metric 'map_50' here\. There are: accuracy, "):
        match.decide(match.tall, metric="map_50")


def test_a_number_that_the_images_do_not_give_is_called_undefined(tmp_path):
    dataset = pinned(tmp_path, ("test", "train") * 4 + ("train", "val"))  # every test image is tall
    version = registered(planned(dataset), always(TALL))
    with pytest.raises(Fault, match=rf"gate: macro_roc_auc of {version} is undefined on shapes test: no label there"):
        promote.fn(version, evaluate.fn(version, dataset, "test"), dataset, Gate(metric="macro_roc_auc"))


def test_one_that_cannot_be_compared_stays_with_the_reason(match, tmp_path):
    other = pinned(tmp_path / "other", SPLITS)
    for file in ("dataset.yaml", "annotations.jsonl"):
        path = Path(other.folder) / file
        path.write_text(path.read_text().replace("tall", "round").replace("wide", "square"))
    old = match.version(WIDE, other)
    set_alias(old, "champion")
    decision = match.decide(match.tall)
    assert (decision.promoted, decision.champion) == (False, str(old))
    assert f"{match.tall} stays: it cannot be compared with {old}." in decision.why
    assert "share no concept" in decision.why


@pytest.mark.parametrize("file", ["weights.safetensors", "trained_on.txt"])
def test_a_damaged_champion_is_a_fault_and_no_matter_of_comparing(match, file):
    champion = match.version(WIDE)
    set_alias(champion, "champion")
    (artifacts(champion) / file).write_bytes(b"damaged")
    with pytest.raises(Fault, match=rf"^{champion}: .*{file}: damaged: "):
        match.decide(match.tall)


def test_the_sentence_of_its_promotion_stays(match):
    why = match.decide(match.tall).why
    again = match.decide(match.tall)
    assert "is the champion already" in again.why
    assert client().get_model_version(match.name, str(match.tall.number)).tags["promotion"] == why


def test_the_champion_is_not_told_that_it_stays_below_the_minimum(match):
    set_alias(match.wide, "champion")
    assert "is the champion already" in match.decide(match.wide, minimum=0.5).why
