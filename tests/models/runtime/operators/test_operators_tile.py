"""Tiles cover a picture exactly, and what is found in them becomes each thing once, where it is in the picture."""

import numpy as np
import pytest
from PIL import Image

from models.runtime.faults import Fault
from models.runtime.operators.overlaps import overlaps
from models.runtime.operators.tile import ImageTile, TileMerge
from models.runtime.operators.views import View, on_regions
from models.runtime.predictions import Regions

NAMES = ("hail", "wind")


def cut(size, **params):
    return ImageTile(**params)(image=View.whole(Image.new("RGB", size)))


@pytest.mark.parametrize("size", [(1000, 700), (641, 640), (640, 640), (300, 2000), (64, 64), (5, 3)])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.9])
def test_tiles_cover_the_picture_and_have_one_size(size, overlap):
    boxes = cut(size, side=256, overlap=overlap).regions.boxes.astype(int)
    seen = np.zeros(size[::-1], int)
    for x0, y0, x1, y1 in boxes:
        assert (x1 - x0, y1 - y0) == (min(256, size[0]), min(256, size[1]))
        seen[y0:y1, x0:x1] += 1
    assert seen.min() == 1
    assert len({tuple(box) for box in boxes}) == len(boxes)
    for low, high, length in ((0, 2, size[0]), (1, 3, size[1])):
        starts, ends = np.unique(boxes[:, low]), np.unique(boxes[:, high])
        assert (starts[0], ends[-1]) == (0, length)
        assert (starts[1:] <= ends[:-1] - int(256 * overlap)).all()  # what is smaller is whole in one


def test_no_more_tiles_than_needed():
    assert len(cut((640, 640), side=640)) == 1
    assert len(cut((1152, 640), side=640, overlap=0.2)) == 2
    assert len(cut((1153, 640), side=640, overlap=0.2)) == 3


def test_tiles_show_what_is_there_and_the_whole_picture_can_be_one_more():
    shades = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    tiles = ImageTile(side=200, whole=True)(image=View.whole(Image.fromarray(shades)))
    for view, box in zip(tiles.views, tiles.regions.boxes.astype(int), strict=True):
        assert (np.asarray(view.image) == shades[box[1] : box[3], box[0] : box[2]]).all()
        assert view.frame().tolist() == box.tolist()
    assert tiles.regions.boxes[-1].tolist() == [0, 0, 500, 300]
    assert tiles.regions.rows()[0] | {"box": 0} == {"box": 0, "concept": "tile", "score": 1.0}
    assert len(cut((100, 100), side=200, whole=True)) == 1  # it is the only tile already


def test_tiles_of_a_crop_lie_in_the_picture_it_was_cut_from():
    crop = View.whole(Image.new("RGB", (900, 900))).cut((100, 200, 600, 500))
    frames = ImageTile(side=300)(image=crop).regions.boxes
    assert frames[0].tolist() == [100, 200, 400, 500]
    assert frames[-1].tolist() == [300, 200, 600, 500]


def test_far_too_many_tiles_are_refused():
    with pytest.raises(Fault, match=r"image-tile: 3000 × 2000 pixels would be 159084 tiles of 64 .* larger side"):
        cut((3000, 2000), side=64, overlap=0.9)


def seen(views, truth, labels, rng, least=0.25, noise=0.0):
    """What an exact detector answers on tiles: each thing's part in them, where enough of it is in sight."""
    answers = []
    for view in views:
        own = view.boxes_from_source(truth)
        part = own.clip(0, view.image.size * 2)
        shown = (part[:, 2:] - part[:, :2]).prod(axis=1) / (own[:, 2:] - own[:, :2]).prod(axis=1)
        there = shown > least
        boxes = (part + rng.normal(0, noise, part.shape))[there].clip(0, view.image.size * 2)
        scores = rng.uniform(0.5, 1, len(boxes)).astype(np.float32)  # a piece may be surer than the whole
        answers.append(Regions(boxes, scores, labels[there], NAMES))
    return answers


def scene(rng, size, count, smallest, largest):
    """Boxes that do not touch."""
    boxes = np.zeros((0, 4))
    while len(boxes) < count:
        sides = rng.uniform(smallest, largest, 2)
        corner = rng.uniform(0, size - sides)
        box = np.concatenate([corner, corner + sides])
        if not overlaps(box, boxes).any():
            boxes = np.concatenate([boxes, box[None]])
    return boxes


def merged(truth, labels, size, rng, noise=0.0, whole=False, **params):
    tiles = cut(size, side=640, overlap=0.2, whole=whole)
    found = on_regions(tiles, seen(tiles.views, truth, labels, rng, noise=noise), "regions", NAMES)
    assert len(found) > len(truth)  # some are found twice
    return TileMerge(**params)(found=found, tiles=tiles)


def in_order(boxes):
    return boxes[np.lexsort(boxes.T)]


@pytest.mark.parametrize("seed", range(5))
def test_each_small_thing_is_there_once_where_it_is(seed):
    rng, size = np.random.default_rng(seed), np.array([3000, 2000])
    truth = scene(rng, size, 150, 10, 120)
    on_border = np.array([[600.0, 300, 660, 330], [500, 630, 560, 650], [620, 1100, 660, 1160]])
    truth = np.concatenate([truth[~(overlaps(truth[:, None], on_border) > 0).any(axis=1)], on_border])
    labels = rng.integers(0, 2, len(truth))
    found = merged(truth, labels, tuple(size), rng)
    assert in_order(found.boxes) == pytest.approx(in_order(truth))
    assert np.bincount(found.labels).tolist() == np.bincount(labels).tolist()
    assert (np.diff(found.scores) <= 0).all()
    assert "parent" not in found.more


@pytest.mark.parametrize("whole", [False, True])
def test_what_no_tile_shows_whole_is_put_together(whole):
    truth = np.array([[300.0, 400, 1500, 900], [1700, 100, 2400, 300], [100, 1200, 300, 1900]])
    rng = np.random.default_rng(0)
    tiles = cut((3000, 2000), side=640, overlap=0.2, whole=whole)
    labels = np.zeros(3, np.int64)
    answers = seen(tiles.views, truth, labels, rng, least=0.0)
    found = TileMerge()(found=on_regions(tiles, answers, "regions", NAMES), tiles=tiles)
    assert in_order(found.boxes) == pytest.approx(in_order(truth))


def test_a_detector_may_be_a_pixel_off():
    rng, size = np.random.default_rng(0), np.array([3000, 2000])
    truth = scene(rng, size, 150, 20, 120)
    found = merged(truth, np.zeros(150, np.int64), tuple(size), rng, noise=1.0)
    assert len(found) == 150
    shares = np.array([overlaps(box, found.boxes) for box in truth])
    assert sorted(shares.argmax(axis=1)) == list(range(150))
    assert shares.max(axis=1).min() > 0.6


def test_a_small_thing_in_front_of_a_large_one_stays():
    truth = np.array([[400.0, 100, 1000, 500], [560, 250, 620, 310]])
    found = merged(truth, np.zeros(2, np.int64), (1500, 640), np.random.default_rng(0))
    assert in_order(found.boxes) == pytest.approx(in_order(truth))


def regions(boxes, scores, labels, parent):
    more = {"parent": np.array(parent, np.int64)}
    return Regions(np.array(boxes, np.float64), np.array(scores, np.float32), np.array(labels, np.int64), NAMES, more)


def test_the_whole_one_stays_however_sure_the_piece_is():
    tiles = cut((1152, 640), side=640)  # they meet from 512 to 640
    found = regions([(529, 9, 640, 61), (530, 10, 660, 60)], (0.9, 0.3), (0, 0), (0, 1))
    one = TileMerge()(found=found, tiles=tiles)
    assert (one.boxes.tolist(), one.scores.tolist()) == ([[530, 10, 660, 60]], pytest.approx([0.3]))


def test_concepts_and_regions_of_one_tile_are_things_of_their_own():
    tiles = cut((1152, 640), side=640)
    box = (530.0, 10, 600, 60)
    two = regions([box, box], (0.9, 0.3), (0, 1), (0, 1))
    assert len(TileMerge()(found=two, tiles=tiles)) == 2
    assert TileMerge(across_concepts=True)(found=two, tiles=tiles).scores.tolist() == pytest.approx([0.9])
    assert len(TileMerge()(found=regions([box, box], (0.9, 0.3), (0, 0), (0, 0)), tiles=tiles)) == 2


def test_regions_that_come_from_no_tiles_are_refused():
    found = Regions(np.array([[0.0, 0, 4, 4]]), np.ones(1, np.float32), np.zeros(1, np.int64), NAMES)
    for strange in (found, regions(found.boxes, found.scores, found.labels, [2])):
        with pytest.raises(Fault, match="tile-merge: the regions were not found in these tiles"):
            TileMerge()(found=strange, tiles=cut((1152, 640)))


def test_overlaps_are_shares_of_the_union():
    box, others = (
        np.array([0.0, 0, 10, 10]),
        np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [3, 3, 3, 3]]),
    )
    assert overlaps(box, others).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert overlaps(box, np.zeros((0, 4))).shape == (0,)
    assert overlaps(np.zeros(4), np.zeros((1, 4))).tolist() == [0]
