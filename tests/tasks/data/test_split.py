"""Splits are decided once, the same way everywhere, and nothing that is tested on is trained on."""

from collections import Counter

import pytest

from models.runtime.faults import Fault
from tasks.data.split import DEFAULT, Item, assign, shares


def items(count, concept="a", said=None, start=0):
    return [Item(f"{concept}{i * 7919 % 100_003:06d}", said, (concept,)) for i in range(start, start + count)]


def split_of(things, previous=None, wanted=DEFAULT):
    return assign(things, previous or {}, wanted)


def counts(assigned, prefix=""):
    found = Counter(split for sha, split in assigned.splits.items() if sha.startswith(prefix))
    return tuple(found[split] for split in ("train", "val", "test"))


def test_without_a_split_each_concept_is_divided_80_10_10():
    assigned = split_of(items(100, "a") + items(50, "b") + items(10, "c"))
    assert (counts(assigned, "a"), counts(assigned, "b"), counts(assigned, "c")) == (
        (80, 10, 10),
        (40, 5, 5),
        (8, 1, 1),
    )


def test_many_rare_concepts_still_fill_every_split():
    things = [item for i in range(100) for item in items(3, f"concept{i:02d}-")]
    assert counts(split_of(things)) == pytest.approx((240, 30, 30), abs=3)


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_a_tiny_dataset_still_has_all_splits(count):
    assert min(counts(split_of(items(count)))) >= 1


def test_two_images_train_and_test():
    assert counts(split_of(items(2))) == (1, 0, 1)
    assert counts(split_of(items(1))) == (1, 0, 0)
    assert split_of([]).splits == {}


def test_the_order_of_the_source_does_not_matter():
    things = items(40) + items(30, "b")
    assert split_of(things) == split_of(things[::-1])


def test_an_image_is_filed_under_its_rarest_concept():
    common = [Item(f"{i:03d}", None, ("common",)) for i in range(80)]
    both = [Item(f"{i:03d}", None, ("rare", "common")) for i in range(80, 100)]
    assigned = split_of(common + both)
    assert Counter(assigned.splits[item.sha256] for item in both) == {"train": 16, "val": 2, "test": 2}


def test_an_image_keeps_its_first_split_for_ever():
    first = split_of(items(50)).splits
    later = split_of(items(80), first)
    assert {sha: later.splits[sha] for sha in first} == first
    assert counts(later) == (64, 8, 8)  # the new ones fill what is lacking


def test_also_when_the_source_changes_its_mind_and_the_report_says_so():
    (image,) = items(1, said="train")
    others = items(5, "b", "train") + items(5, "c", "val") + items(5, "d", "test")
    assigned = split_of([image, *others], {image.sha256: "test"})
    assert assigned.splits[image.sha256] == "test"
    assert "1 images keep the split they had first" in assigned.notes[0]


def test_a_source_with_all_splits_is_honoured():
    things = items(5, "a", "train") + items(4, "b", "val") + items(3, "c", "test")
    assigned = split_of(things)
    assert all(assigned.splits[item.sha256] == item.said for item in things)
    assert not assigned.notes


def test_twins_in_train_and_test_count_as_test_alone():
    things = items(20, "a", "train") + items(5, "b", "test") + items(5, "c", "val")
    leaked = [Item(item.sha256, "test", item.concepts) for item in things[:3]]
    assigned = split_of(things + leaked)
    assert {assigned.splits[item.sha256] for item in leaked} == {"test"}
    assert assigned.notes == ("3 pictures are in the source's train and test, byte for byte: they count as test alone",)


def test_a_lacking_val_is_taken_out_of_train_and_test_stays_whole():
    train, test = items(100, "a", "train"), items(30, "b", "test")
    assigned = split_of(train + test)
    assert counts(assigned, "a") == (90, 10, 0)
    assert counts(assigned, "b") == (0, 0, 30)
    assert "no val split: 10% of its train images became that" in assigned.notes[0]


def test_a_lacking_test_is_taken_out_of_train():
    assigned = split_of(items(100, "a", "train") + items(30, "b", "val"))
    assert counts(assigned) == (90, 30, 10)


def test_train_alone_says_nothing():
    assert counts(split_of(items(100, "a", "train"))) == (80, 10, 10)


def test_a_source_of_test_images_only_stays_that():
    assert counts(split_of(items(10, "a", "test"))) == (0, 0, 10)


def test_images_that_the_source_does_not_mention_are_divided_among_themselves():
    things = items(50, "a", "train") + items(20, "b", "test") + items(20, "b", "val", 50) + items(100, "c")
    assert counts(split_of(things), "c") == (80, 10, 10)


def test_a_split_that_is_not_wanted_is_not_made():
    assert counts(split_of(items(100), wanted=shares("90/10/0"))) == (90, 10, 0)
    assert counts(split_of(items(20, "a", "train") + items(20, "b", "val"), wanted=shares("90/10/0"))) == (20, 20, 0)


@pytest.mark.parametrize("text", ["70/15/15", "0.7,0.15,0.15", "70%, 15%, 15%", "70 15 15"])
def test_shares_are_read(text):
    assert shares(text) == pytest.approx({"train": 0.7, "val": 0.15, "test": 0.15})


def test_no_shares_are_80_10_10():
    assert shares("") == DEFAULT


@pytest.mark.parametrize("text", ["80/20", "80/10/20", "a/b/c", "0/50/50", "110/-5/-5", "nan/0/0"])
def test_wrong_shares_are_refused(text):
    with pytest.raises(Fault, match="give the shares of train, val and test"):
        shares(text)
