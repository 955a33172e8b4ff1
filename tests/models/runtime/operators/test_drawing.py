"""Drawn pictures: boxes, labels and strips, where they are, in their colours, survive odd names and sizes."""

import numpy as np
import pytest
from PIL import Image

from models.runtime.operators.drawing import PALETTE, colour, draw
from models.runtime.predictions import Clusters, Concepts, Regions

ODD = ("hail | wind", "_hidden", "$x$ [b]", "鳥", "a-name-that-goes-on-and-on-for-ever-and-ever", "absent")
WHITE = (255, 255, 255)


def regions(*boxes, label=0, concepts=ODD):
    count = len(boxes)
    return Regions(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.full(count, label, np.int64),
        concepts,
    )


def rgb(text):
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("label", range(6))
def test_a_box_is_drawn_where_it_is_in_its_concepts_colour(label):
    image = Image.new("RGB", (800, 600), "white")
    drawn = draw(image, regions((200, 200, 500, 400), label=label))
    assert drawn.size == image.size
    assert image.getcolors() == [(480_000, WHITE)]  # the given picture stays as it was
    for point in ((200, 300), (500, 300), (350, 400)):
        assert drawn.getpixel(point) == pytest.approx(rgb(colour(label)), abs=3)
    assert drawn.getpixel((350, 300)) == WHITE


def test_small_pictures_are_enlarged_with_their_boxes():
    drawn = draw(Image.new("RGB", (200, 100), "white"), regions((50, 50, 100, 90)))
    assert drawn.size == (800, 400)
    assert drawn.getpixel((200, 300)) == pytest.approx(rgb(colour(0)), abs=3)
    assert draw(Image.new("RGB", (1, 3)), Regions.empty(ODD)).size == (214, 642)


def test_labels_stay_in_the_picture():
    ground = Image.new("RGB", (800, 600), "white")
    corner = np.asarray(draw(ground, regions((0, 0, 100, 100), label=4)))
    tint = np.abs(corner.astype(int) - rgb(colour(4))).max(axis=-1) < 4
    assert tint[:20, 110:200].any()  # the label is wider than the box, and not cut off above


def test_concepts_are_told_below_the_picture():
    image = Image.new("RGB", (800, 600), "white")
    scores = np.array([0.1, 0.7, 0.05, 0.05, 0.05, 0.05], np.float32)
    drawn = draw(image, Concepts(scores, ODD))
    assert drawn.width == 800
    assert drawn.crop((0, 0, 800, 600)).getcolors() == [(480_000, WHITE)]
    strip = np.asarray(drawn)[610].astype(int)
    bar = np.abs(strip - rgb(colour(1))).max(axis=-1) < 3
    assert bar[540:559].all()  # .7 of the width
    assert not bar[565:].any()


def tinted(drawn, label):
    """Where a picture has a concept's colour."""
    return np.abs(np.asarray(drawn).astype(int) - rgb(colour(label))).max(axis=-1) < 4


def widest(drawn, label):
    """Pixels of the longest row in a concept's colour: its label's."""
    return int(tinted(drawn, label).sum(axis=1).max())


def test_a_tracks_id_stands_in_the_label_where_it_is_sure():
    ground = Image.new("RGB", (800, 600), "white")
    plain = regions((200, 200, 210, 400))
    sure, unsure = (
        Regions(plain.boxes, plain.scores, plain.labels, ODD, {"track_id": np.array([i])}) for i in (123, -1)
    )
    assert widest(draw(ground, sure), 0) > widest(draw(ground, plain), 0) + 20
    assert np.array_equal(np.asarray(draw(ground, unsure)), np.asarray(draw(ground, plain)))


@pytest.mark.parametrize("size", [(64, 48), (200, 100), (800, 600), (3, 2)])
def test_a_picture_can_keep_its_size(size):
    ground = Image.new("RGB", size, "white")
    for found in (
        regions((1, 1, size[0] - 1, size[1] - 1)),
        Regions.empty(ODD),
        Concepts(np.full(6, 1 / 6, np.float32), ODD),
        Clusters(np.array([0.5, 1], np.float32)),
    ):
        assert draw(ground, found, enlarge=False).size == size
    assert ground.getcolors() == [(size[0] * size[1], WHITE)]


def test_boxes_are_where_they_are_also_in_a_small_picture():
    drawn = draw(Image.new("RGB", (200, 100), "white"), regions((50, 50, 100, 90)), enlarge=False)
    for point in ((50, 70), (100, 70), (75, 90)):
        assert drawn.getpixel(point) == pytest.approx(rgb(colour(0)), abs=3)
    assert drawn.getpixel((75, 70)) == WHITE
    assert tinted(drawn, 0)[:48].sum() > 14 * 40  # the label, in letters of a size to read


def test_without_room_below_the_strip_lies_over_the_lowest_part():
    drawn = draw(Image.new("RGB", (400, 300), "white"), Concepts(np.array([0.9, 0.1], np.float32), ODD[:2]), False)
    assert drawn.crop((0, 0, 400, 240)).getcolors() == [(96_000, WHITE)]
    assert tinted(drawn, 0)[247, 340:359].all()
    assert not tinted(drawn, 0)[247, 362:].any()


def test_concepts_without_a_score_are_not_told():
    ground = Image.new("RGB", (800, 600), "white")
    assert draw(ground, Concepts(np.zeros(6, np.float32), ODD)).size == (800, 600)
    assert draw(ground, Concepts(np.array([0, 0.5, 0, 0, 0, 0], np.float32), ODD)).height < 640


def test_colours_come_round_again():
    assert colour(1) == colour(1 + len(PALETTE)) != colour(2)
