"""The demo's pictures: scans stay in their split, boxes hold their ink, and a seed means the same bytes."""

import hashlib
import struct
from itertools import pairwise
from random import Random

import defusedxml.ElementTree as ElementTree
import numpy as np
import pytest
from PIL import Image

from tasks.data import digits
from tasks.data.digits import _deck, _shared, compose, deal, scene
from tasks.data.scenery import GROUNDS, HEIGHT, SEEN, WIDTH, bitmap, digit, lay


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The whole demo of seed 0."""
    folder = tmp_path_factory.mktemp("demo")
    compose(folder, seed=0)
    return folder


def objects(folder, name):
    tree = ElementTree.parse(folder / "scenes" / "Annotations" / f"{name}.xml")
    for entry in tree.iter("object"):
        box = tuple(int(entry.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        yield entry.findtext("name"), int(entry.findtext("scan")), box


def on_paper(folder, split):
    return [path for path in (folder / "digits" / split).rglob("*.bmp") if path.stem.isdigit()]


def names(folder, split):
    return (folder / "scenes" / "ImageSets" / "Main" / f"{split}.txt").read_text().split()


def test_no_scan_is_in_two_splits_and_each_is_in_a_scene(folder):
    alone, placed = {}, {}
    for split in ("train", "val", "test"):
        alone[split] = {int(path.stem) for path in on_paper(folder, split)}
        placed[split] = {scan for name in names(folder, split) for _, scan, _ in objects(folder, name)}
    assert alone == placed
    assert sorted(scan for scans in alone.values() for scan in scans) == list(range(1797))


def test_scenes_hold_two_to_eight_digits_of_20_to_80_pixels_inside_and_apart(folder):
    assert len(names(folder, "test")) >= 150
    for split in ("train", "val", "test"):
        for name in names(folder, split):
            boxes = [box for _, _, box in objects(folder, name)]
            assert 2 <= len(boxes) <= 8
            for i, (x0, y0, x1, y1) in enumerate(boxes):
                assert 0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT
                assert 20 <= y1 - y0 <= 80
                for other in boxes[:i]:
                    shared = _shared(boxes[i], other)
                    union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], other)) - shared
                    assert shared / union < 0.1


def test_digits_are_named_as_scikit_learn_does(folder):
    from sklearn.datasets import load_digits

    says = load_digits().target
    for name, scan, _ in objects(folder, "test_0000"):
        assert name == str(says[scan])
    for path in on_paper(folder, "val"):
        assert path.parent.name == str(says[int(path.stem)])


def test_digits_are_cut_out_of_the_scenes_of_their_split_and_out_of_no_test_scene(folder):
    for split, least in (("train", 7000), ("val", 300), ("test", 0)):
        cut = [path for path in (folder / "digits" / split).rglob("*.bmp") if not path.stem.isdigit()]
        assert len(cut) >= least and bool(cut) == bool(least)
        for path in cut[::200]:
            name, _, number = path.stem.rpartition("_")
            says, _, (x0, y0, x1, y1) = list(objects(folder, name))[int(number)]
            assert (path.parent.name, name.startswith(split)) == (says, True)
            longer, middle = max(x1 - x0, y1 - y0), ((x0 + x1) // 2, (y0 + y1) // 2)
            with Image.open(path) as image, Image.open(folder / "scenes" / "JPEGImages" / f"{name}.bmp") as scene:
                inside, whole = np.asarray(image), np.asarray(scene)
            row, column = max(0, y0 - longer), max(0, x0 - longer)
            around = whole[row : y1 + longer, column : x1 + longer]
            windows = np.lib.stride_tricks.sliding_window_view(around, inside.shape)
            ((below, beside),) = np.argwhere((windows == inside).all(axis=(2, 3)))
            top, left = row + below, column + beside
            height, width = inside.shape
            if 0 < top < HEIGHT - height and 0 < left < WIDTH - width:  # not cut off by the scene's edge
                assert height == width and longer <= height <= 1.4 * longer + 1
                assert abs(left + width / 2 - middle[0]) <= 0.1 * longer + 2
                assert abs(top + height / 2 - middle[1]) <= 0.1 * longer + 2


def test_pillow_reads_what_was_drawn(folder, tmp_path):
    with Image.open(folder / "scenes" / "JPEGImages" / "train_0000.bmp") as picture:
        assert picture.size == (WIDTH, HEIGHT)
    grey = np.arange(15, dtype=np.uint8).reshape(3, 5) * 17
    (tmp_path / "small.bmp").write_bytes(bitmap(grey))
    with Image.open(tmp_path / "small.bmp") as picture:
        assert np.array_equal(np.asarray(picture.convert("L")), grey)
        assert struct.unpack("<I", (tmp_path / "small.bmp").read_bytes()[2:6])[0] == 54 + 1024 + 3 * 8


def test_a_box_is_tight_around_its_ink():
    (scan, *_) = deal(0)["test"]
    drawn = digit(scan.pixels, 50, Random(1))
    assert 48 <= drawn.size[1] <= 50
    for edge in (drawn.mask[0], drawn.mask[-1], drawn.mask[:, 0], drawn.mask[:, -1]):
        assert (edge >= SEEN).any()


def test_ink_covers_what_is_under_it():
    (scan, *_) = deal(0)["test"]
    drawn = digit(scan.pixels, 40, Random(1))
    grey = np.full((60, 60), 100, np.int32)
    lay(grey, drawn, 10, 10, 250)
    assert grey[10 : 10 + drawn.size[1], 10 : 10 + drawn.size[0]].max() == 250
    assert (grey[:10] == 100).all() and grey.min() == 100


def test_grounds_of_splits_do_not_meet():
    spans = sorted(GROUNDS.values())
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


def test_the_seed_changes_all_of_it_and_nothing_else_does():
    first, again, other = deal(0), deal(0), deal(1)
    assert first == again
    assert {scan.number for scan in first["test"]} != {scan.number for scan in other["test"]}
    pictures = [
        scene("test", _deck(scans["test"], Random(f"{seed}/test")), Random(f"{seed}/test")).grey.tobytes()
        for seed, scans in ((0, first), (0, again), (1, other))
    ]
    assert pictures[0] == pictures[1] != pictures[2]


def test_the_bytes_of_seed_0_are_the_committed_ones(folder):
    """`data.dvc` names these very bytes: another digest here means that a fresh clone no longer rebuilds them."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    assert digest.hexdigest() == DIGEST
    assert digits.SCENES["test"] >= 150


DIGEST = "2c2fae5a5358e93c06d0876b143cfbc68e9a2599dea477cd5ebeeb37bf9bc296"
