"""Colours that are there, parts that cannot be recognised, and drawings in the picture's own size."""

import numpy as np
import pytest
from PIL import Image

from models.runtime.operators.drawing import draw
from models.runtime.operators.edit import ImageCrop, ImageRotate
from models.runtime.operators.look import Blur, ColorRecognizer, Draw, Fill, RegionColors
from models.runtime.operators.views import View
from models.runtime.predictions import Clusters, Concepts, Regions

NAMES = ("hail", "wind")


def flag(size=(256, 128)):
    """A quarter red, the rest blue."""
    image = Image.new("RGB", size, "#0000ff")
    image.paste("#ff0000", (0, 0, size[0] // 2, size[1] // 2))
    return View.whole(image)


def noise(size=(200, 120)):
    shades = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return View.whole(Image.fromarray(shades))


def regions(*boxes, **more):
    count = len(boxes)
    columns = np.array(boxes, np.float64).reshape(-1, 4), np.full(count, 0.5, np.float32), np.zeros(count, np.int64)
    return Regions(*columns, NAMES, more)


def test_colours_come_by_their_share():
    found = ColorRecognizer()(image=flag())
    assert found.rows() == [
        {"hex": "#0000ff", "color": "blue", "score": pytest.approx(0.75, abs=0.01)},
        {"hex": "#ff0000", "color": "red", "score": pytest.approx(0.25, abs=0.01)},
    ]


@pytest.mark.parametrize("most", [1, 3, 16])
def test_a_picture_has_so_many_colours_at_most(most):
    found = ColorRecognizer(most=most)(image=noise())
    assert 1 <= len(found) <= most
    assert found.shares.sum() == pytest.approx(1)
    assert (np.diff(found.shares) <= 0).all()


def test_an_odd_picture_has_a_colour():
    assert ColorRecognizer()(image=View.whole(Image.new("RGB", (1, 1), "#102030"))).hexes == ("#102030",)
    assert ColorRecognizer()(image=View.whole(Image.new("RGB", (5000, 1), "white"))).names == ("white",)


def test_each_region_has_the_colour_of_its_crop():
    given = regions((0, 0, 100, 60), (200, 80, 256, 128), track_id=np.array([5, 6]))
    found = RegionColors()(images=ImageCrop()(image=flag(), regions=given))
    assert [row["color"] for row in found.rows()] == ["red", "blue"]
    assert found.more["track_id"].tolist() == [5, 6]
    assert RegionColors()(images=ImageCrop()(image=flag(), regions=regions())).more["color"].shape == (0,)


def changed(before, after):
    return (np.asarray(before.image) != np.asarray(after.image)).any(axis=-1)


@pytest.mark.parametrize("hide", [Blur(margin=1), Fill(color="#123456")])
def test_only_what_is_in_the_regions_changes(hide):
    before = noise()
    seen = np.asarray(before.image).copy()
    after = hide(image=before, regions=regions((20, 30, 60, 80), (150.4, 90.2, 260, 300), (900, 900, 999, 999)))
    there = np.zeros((120, 200), bool)
    there[30:80, 20:60] = there[90:, 150:] = True
    assert not changed(before, after)[~there].any()
    assert changed(before, after)[there].mean() > 0.99
    assert (np.asarray(before.image) == seen).all()  # the given picture stays as it was
    assert (after.size, after.to_source.tolist()) == (before.size, before.to_source.tolist())


def test_what_is_filled_has_one_colour():
    after = Fill(color="#12AbfF", margin=2)(image=noise(), regions=regions((40, 40, 60, 60)))
    assert after.image.crop((30, 30, 70, 70)).getcolors() == [(1600, (0x12, 0xAB, 0xFF))]


def test_what_is_blurred_holds_a_few_numbers_only():
    """Two pictures with the same means in 8 × 8 spots come out the same: nothing finer is left to be found."""
    rng = np.random.default_rng(0)
    means = rng.integers(60, 190, (8, 8, 3)).repeat(10, axis=0).repeat(10, axis=1)
    after = []
    for _ in range(2):
        detail = rng.integers(0, 2, (80, 80, 3)) * 2 - 1
        for spot in np.ndindex(8, 8):  # as much up as down in each
            part = detail[spot[0] * 10 : spot[0] * 10 + 10, spot[1] * 10 : spot[1] * 10 + 10].reshape(-1, 3)
            part = rng.permuted(np.repeat([-1, 1], 50)[:, None].repeat(3, axis=1), axis=0).reshape(10, 10, 3)
            detail[spot[0] * 10 : spot[0] * 10 + 10, spot[1] * 10 : spot[1] * 10 + 10] = part
        view = View.whole(Image.fromarray((means + 60 * detail).astype(np.uint8)))
        after.append(np.asarray(Blur(radius=0.125, margin=1)(image=view, regions=regions((0, 0, 80, 80))).image))
    assert np.abs(after[0].astype(int) - after[1]).max() <= 1
    assert after[0].std() > 5  # and yet it is no plain colour


def test_a_larger_radius_leaves_less():
    view = noise()
    spread = [
        np.asarray(Blur(radius=radius)(image=view, regions=regions((20, 20, 180, 100))).image)[25:95, 25:175].std()
        for radius in (0.02, 0.1, 0.5)
    ]
    assert spread[0] > 2 * spread[1] > 4 * spread[2]


def test_hidden_is_what_lies_there_in_the_source_also_in_a_turned_view():
    turned = ImageRotate(degrees=90)(image=flag())
    after = Fill(color="#00ff00")(image=turned, regions=regions((0, 0, 128, 64)))
    assert sorted(after.image.getcolors()) == [(8_192, (0, 255, 0)), (24_576, (0, 0, 255))]


@pytest.mark.parametrize(
    "found",
    [
        regions((20, 30, 60, 80), (100, 20, 180, 100), track_id=np.array([3, -1])),
        Concepts(np.array([0.7, 0.3], np.float32), NAMES),
        Clusters(np.array([0.5, 1], np.float32)),
    ],
    ids=["regions", "concepts", "clusters"],
)
def test_a_drawing_has_the_pictures_size(found):
    drawn = Draw()(image=noise(), found=found)
    assert drawn.image.size == (200, 120)
    assert np.array_equal(np.asarray(drawn.image), np.asarray(draw(noise().image, found, enlarge=False)))


def test_boxes_are_drawn_where_they_are_in_a_crop_and_others_not():
    crop = View.whole(Image.new("RGB", (400, 400), "white")).cut((100, 100, 300, 300))
    drawn = Draw()(image=crop, found=regions((150, 180, 200, 250), (350, 350, 390, 390)))
    alone = draw(crop.image, regions((50, 80, 100, 150)), enlarge=False)
    assert np.array_equal(np.asarray(drawn.image), np.asarray(alone))


def test_nothing_found_draws_nothing():
    view = noise()
    assert Draw()(image=view) is view
    assert not changed(view, Draw()(image=view, found=regions())).any()
