"""Batches depend on the seed, the epoch and the data, on nothing that came before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import Tensor

from models.parameters import ClassifierParameters, DetectorParameters, EmbedderParameters
from models.runtime.faults import Fault
from models.runtime.images import decode
from models.runtime.networks import normalisation
from models.runtime.transform import fit
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.data.loading import Pictures, collate, loader
from tests.drawn import shapes

DETECTOR, CLASSIFIER = "visual-detector", "visual-classifier"


def detecting(**more) -> DetectorParameters:
    return DetectorParameters(
        **{"template": "fcos_light", "image_size": 64, "batch_size": 4, "augmentation": "strong"} | more
    )


def classifying(**more) -> ClassifierParameters:
    return ClassifierParameters(**{"image_size": 32, "batch_size": 4, "augmentation": "strong"} | more)


def pictures(dataset: Dataset, vary: bool = False, split: str = "train", **more) -> Pictures:
    if dataset.task == "detection":
        return Pictures(dataset, split, DETECTOR, detecting(**more), vary)
    return Pictures(dataset, split, CLASSIFIER, classifying(**more), vary)


def equal(some, others) -> bool:
    """Whether two rows (picture, target) are the same to the last bit."""
    (picture, target), (other, wanted) = some, others
    if not torch.equal(picture, other):
        return False
    if isinstance(target, Tensor):
        return torch.equal(target, wanted)
    return all(torch.equal(target[name], wanted[name]) for name in wanted)


@pytest.fixture(params=["classification", "detection"])
def dataset(request, tmp_path) -> Dataset:
    return shapes(tmp_path / "shapes", task=request.param, size=40)


@pytest.fixture
def wide(tmp_path) -> Dataset:
    """One picture of 200 × 100 pixels with three boxes, one of them a crowd, and one without any."""
    (tmp_path / "images").mkdir()
    Image.new("RGB", (200, 100), "grey").save(tmp_path / "images/a.png")
    Image.new("RGB", (50, 100), "grey").save(tmp_path / "images/b.png")
    boxes = ((0.0, 0.0, 100.0, 50.0), (20.0, 10.0, 60.0, 90.0), (150.0, 50.0, 200.0, 100.0))
    names, areas = ("wind", "hail", "wind"), (5000.0, 3200.0, 2500.0)
    a = Annotation("a.png", "1" * 64, 200, 100, "train", (), boxes, areas, names, (False, True, False), (False,) * 3)
    b = Annotation("b.png", "2" * 64, 50, 100, "train")
    return Dataset("roofs", tmp_path, "detection", False, ("hail", "wind"), (a, b))


def test_a_varied_picture_depends_on_seed_epoch_and_index_alone(dataset):
    first = pictures(dataset, vary=True, seed=7)
    wanted = first[2, 3]
    other = pictures(dataset, vary=True, seed=7)
    torch.manual_seed(1234)
    for at in ((0, 0), (0, 3), (1, 1)):
        other[at]
    assert equal(other[2, 3], wanted)
    assert not equal(other[3, 3], wanted)
    assert not equal(pictures(dataset, vary=True, seed=8)[2, 3], wanted)


def test_varying_draws_nothing_from_the_global_generator(dataset):
    varied = pictures(dataset, vary=True)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    varied[0, 0]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [0, 20_250_131, 2**31 - 1])
def test_any_seed_will_do(dataset, seed):
    varied = pictures(dataset, vary=True, seed=seed)
    assert equal(varied[999, 7], varied[999, 7])
    assert not equal(varied[999, 7], varied[998, 7])


def test_varying_does_not_spoil_what_is_cached(dataset):
    plain = pictures(dataset)[0, 0]
    varied = pictures(dataset, vary=True)
    for epoch in range(3):
        varied[epoch, 0]
    varied.vary = None
    assert equal(varied[0, 0], plain)


def test_training_sees_the_picture_as_prediction_does(dataset):
    loaded = pictures(dataset)
    type = DETECTOR if dataset.task == "detection" else CLASSIFIER
    seen = fit(decode(dataset.path(dataset.split("train")[2])), type, loaded.size)
    assert torch.equal(loaded[0, 2][0], seen)


@pytest.mark.parametrize(("epochs", "free", "mosaic"), [(60, 10, 50), (4, 10, 2), (1, 10, 1), (4, 0, 4)])
def test_the_last_epochs_see_no_mosaic_and_half_of_few_do(wide, epochs, free, mosaic):
    loaded = pictures(wide, vary=True, mosaic=1.0, epochs=epochs, mosaic_free_epochs=free, augmentation="none")
    shapes = [loaded[epoch, 0][0].shape for epoch in range(epochs)]
    assert shapes == [(3, 64, 64)] * mosaic + [(3, 32, 64)] * (epochs - mosaic)


def test_an_embedder_is_measured_without_copies_and_learns_from_them(tmp_path):
    drawn = shapes(tmp_path / "shapes", val=4)
    val = drawn.split("val")
    twins = tuple(replace(each, sha256=val[0].sha256) if each == val[2] else each for each in drawn.annotations)
    given = EmbedderParameters(template="angular_margin", backbone="resnet_light", image_size=32)
    for vary, seen in [(False, [val[0], val[1], val[3]]), (True, val)]:
        loaded = Pictures(replace(drawn, annotations=twins), "val", "visual-embedder", given, vary)
        assert [each.image for each in loaded.annotations] == [each.image for each in seen]


def test_pictures_are_decoded_once_where_memory_allows(dataset):
    loaded = pictures(dataset)
    first = loaded[0, 0]
    dataset.path(dataset.split("train")[0]).unlink()
    assert equal(loaded[1, 0], first)


def test_pictures_are_decoded_each_time_where_memory_is_short(dataset, monkeypatch):
    monkeypatch.setattr("tasks.data.cache.SHARE", 0)
    loaded = pictures(dataset)
    assert equal(loaded[0, 0], pictures(dataset)[0, 0])
    dataset.path(dataset.split("train")[0]).unlink()
    with pytest.raises(Fault, match="there is no such file"):
        loaded[1, 0]


def test_boxes_are_scaled_with_the_picture_and_a_crowd_teaches_none(wide):
    picture, target = pictures(wide)[0, 0]
    assert picture.shape == (3, 32, 64)
    assert target["boxes"].dtype == torch.float32
    assert target["boxes"].flatten().tolist() == pytest.approx([0, 0, 32, 16, 48, 16, 64, 32])
    assert target["labels"].tolist() == [1, 1]  # wind, by its place in dataset.yaml


def test_a_picture_without_a_box_keeps_its_shape(wide):
    picture, target = pictures(wide)[0, 1]
    assert picture.shape == (3, 64, 32)
    assert (target["boxes"].shape, target["labels"].shape) == ((0, 4), (0,))
    assert target["labels"].dtype == torch.int64


def test_varied_boxes_and_labels_stay_in_step(wide):
    varied = pictures(wide, vary=True)
    for epoch in range(20):
        picture, target = varied[epoch, 0]
        assert picture.shape == (3, 32, 64)
        assert len(target["boxes"]) == len(target["labels"]) <= 2
        assert (target["boxes"][:, :2] < target["boxes"][:, 2:]).all()
        assert (target["boxes"] >= 0).all()
        assert (target["boxes"][:, 2] <= 64).all()


@pytest.mark.parametrize(
    ("concepts", "target"),
    [(("tall",), [1, 0]), (("wide",), [0, 1]), (("tall", "wide"), [1, 1]), ((), [0, 0])],
)
def test_targets_of_a_classifier(tmp_path, concepts, target):
    drawn = shapes(tmp_path / "shapes", train=1, val=0)
    named = replace(drawn, annotations=(replace(drawn.annotations[0], concepts=concepts),))
    _, seen = pictures(named)[0, 0]
    assert seen.tolist() == target
    assert seen.dtype == torch.float32


def test_collate_pads_to_one_size_with_the_mean_colour(wide):
    mean = normalisation("fcos_light")[0]
    rows = pictures(wide)
    batch, targets = collate([rows[0, 0], rows[0, 1]], mean)
    assert (batch.shape, batch.dtype) == ((2, 3, 64, 64), torch.uint8)
    assert (batch[0, :, 32:] == torch.tensor([round(255 * value) for value in mean]).view(3, 1, 1)).all()
    assert [len(target["labels"]) for target in targets] == [2, 0]
    assert {type(value) for target in targets for value in target.values()} | {type(batch)} == {Tensor}


def test_collate_stacks_the_targets_of_a_classifier(tmp_path):
    rows = pictures(shapes(tmp_path / "shapes"))
    batch, targets = collate([rows[0, i] for i in range(3)], (0.5, 0.5, 0.5))
    assert batch.shape == (3, 3, 32, 32)
    assert targets.tolist() == [[1, 0], [0, 1], [1, 0]]


def test_a_training_loader_drops_what_fills_no_batch_and_gives_each_picture_once(tmp_path):
    drawn = shapes(tmp_path / "shapes", train=10)
    batches = list(loader(drawn, "train", CLASSIFIER, classifying(), vary=True))
    assert [len(images) for images, _ in batches] == [4, 4]


def test_fewer_pictures_than_a_batch_still_make_one(tmp_path):
    drawn = shapes(tmp_path / "shapes", train=3)
    batches = list(loader(drawn, "train", CLASSIFIER, classifying(batch_size=64), vary=True))
    assert [len(images) for images, _ in batches] == [3]


def test_a_validation_loader_gives_everything_in_order_and_as_it_is(tmp_path):
    drawn = shapes(tmp_path / "shapes", val=6)
    batches = list(loader(drawn, "val", CLASSIFIER, classifying(), vary=False))
    assert [len(images) for images, _ in batches] == [4, 2]
    rows = pictures(drawn, split="val")
    assert torch.equal(torch.cat([images for images, _ in batches]), torch.stack([rows[0, i][0] for i in range(6)]))


def last_epoch(dataset: Dataset, *epochs: int) -> list:
    """The batches of the last of some epochs that one loader gave."""
    made = loader(dataset, "train", DETECTOR, detecting(), vary=True)
    for epoch in epochs:
        made.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        batches = list(made)
    return batches


def same(batches: list, others: list) -> bool:
    return len(batches) == len(others) and all(
        torch.equal(images, other)
        and all(torch.equal(a["boxes"], b["boxes"]) for a, b in zip(targets, wanted, strict=True))
        for (images, targets), (other, wanted) in zip(batches, others, strict=True)
    )


def test_the_same_epoch_gives_the_same_batches(tmp_path):
    drawn = shapes(tmp_path / "shapes", task="detection")
    assert same(last_epoch(drawn, 2), last_epoch(drawn, 0, 1, 2))
    assert not same(last_epoch(drawn, 2), last_epoch(drawn, 1))


# From Python 3.12: torch's own way to start its workers. https://github.com/python/cpython/issues/100228
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
# Forked late in a long test run, beside the threads of everything imported by then, a worker that has done its
# work may end with exit code 1; torch says so while it collects the loader. The batches are what counts here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_worker_processes_give_the_same_batches(tmp_path, monkeypatch):
    drawn = shapes(tmp_path / "shapes", task="detection")
    alone = last_epoch(drawn, 0, 1)
    monkeypatch.setattr("tasks.data.loading.beside_gpu", lambda: True)
    monkeypatch.setattr("tasks.data.loading.cores", lambda: 3)
    assert loader(drawn, "train", DETECTOR, detecting(), vary=True)._loader.num_workers == 2
    assert same(last_epoch(drawn, 0, 1), alone)
