"""A box ends up where a person sees the thing it was drawn around, or is left out with the reason."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from models.runtime.images import decode
from tasks.data.boxes import Misfit, fitted
from tasks.data.formats.source import Labelled

SIZE = (40, 30)


def said(*boxes, size=None, relative=False, areas=None, concepts=None):
    n = len(boxes)
    return Labelled(
        file=None,
        name="a.png",
        where="a.xml",
        boxes=boxes,
        areas=areas or (None,) * n,
        box_concepts=concepts or ("hail",) * n,
        crowd=(False,) * n,
        difficult=(False,) * n,
        box_where=tuple(f"object {i}" for i in range(n)),
        size=size,
        relative=relative,
    )


def test_good_boxes_are_kept_to_the_last_digit():
    found = fitted(said((0.1, 0.2, 39.97, 29.3), (5, 5, 6, 6), areas=(None, 0.5)), b"", SIZE)
    assert found.columns["boxes"] == ((0.1, 0.2, 39.97, 29.3), (5, 5, 6, 6))
    assert found.columns["areas"] == (pytest.approx((39.97 - 0.1) * (29.3 - 0.2)), 0.5)
    assert found.columns["box_concepts"] == ("hail", "hail")
    assert not found.rejected and not found.repaired


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((5, 5, 5, 9), r"no area: \[5, 5, 5, 9\]"),
        ((5, 9, 9, 9), "no area"),
        ((9, 5, 5, 9), "inverted"),
        ((5, 9, 9, 5), "inverted"),
        ((40, 5, 50, 9), "wholly outside the picture of 40×30"),
        ((-9, 5, 0, 9), "wholly outside"),
        ((5, 31, 9, 35), "wholly outside"),
        ((5, float("nan"), 9, 35), "not a number"),
        ((5, 5, float("inf"), 35), "not a number"),
    ],
)
def test_bad_boxes_are_left_out_and_the_others_stay(box, reason):
    found = fitted(said((1, 1, 2, 2), box), b"", SIZE)
    assert found.columns["boxes"] == ((1, 1, 2, 2),)
    (row,) = found.rejected
    assert (row.path, row.row, row.what) == ("a.png", "object 1", "box")
    assert re.search(reason, row.reason)


def test_a_box_without_a_concept_is_left_out():
    assert fitted(said((1, 1, 2, 2), concepts=(" ",)), b"", SIZE).rejected[0].reason.startswith("no concept")


def test_a_box_partly_outside_is_clipped_and_said_so():
    found = fitted(said((-3, 5, 44, 9), areas=(500.0,)), b"", SIZE)
    assert found.columns["boxes"] == ((0, 5, 40, 9),)
    assert found.columns["areas"] == (160,)  # never more than its box
    assert "clipped to the picture (4 px outside)" in found.repaired[0].reason


def test_rounding_is_clipped_without_a_word():
    found = fitted(said((0, 0, 40.4, 30.0001)), b"", SIZE)
    assert found.columns["boxes"] == ((0, 0, 40, 30),)
    assert not found.repaired


def test_the_same_box_twice_is_kept_once():
    found = fitted(said((1, 1, 2, 2), (1, 1, 2, 2), (1, 1, 2, 2), concepts=("hail", "hail", "wind")), b"", SIZE)
    assert found.columns["box_concepts"] == ("hail", "wind")
    assert "twice" in found.repaired[0].reason


def test_fractions_become_pixels():
    found = fitted(said((0.25, 0.5, 0.75, 1.0), relative=True), b"", SIZE)
    assert found.columns["boxes"] == ((10, 15, 30, 30),)
    assert found.columns["areas"] == (300,)


def test_no_box_gives_empty_columns():
    assert fitted(said(), b"", SIZE).columns["boxes"] == ()


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_boxes_of_the_same_picture_in_another_size_are_scaled():
    found = fitted(said((10, 10, 20, 20), size=(80, 60), areas=(50.0,)), png(*SIZE), SIZE)
    assert found.columns["boxes"] == ((5, 5, 10, 10),)
    assert found.columns["areas"] == (12.5,)
    assert "scaled from the claimed 80×60 to the real 40×30" in found.repaired[0].reason


def test_a_size_that_cannot_be_is_refused():
    with pytest.raises(Misfit, match="claims 30×40 pixels, the picture has 40×30"):
        fitted(said((1, 1, 2, 2), size=(30, 40)), png(*SIZE), SIZE)


def test_a_wrong_size_without_boxes_matters_to_nobody():
    assert fitted(said(size=(3, 4)), b"", SIZE).columns["boxes"] == ()


def test_a_claimed_size_of_zero_is_ignored_and_said_so():
    found = fitted(said((1, 1, 2, 2), size=(0, 0)), b"", SIZE)
    assert found.columns["boxes"] == ((1, 1, 2, 2),)
    assert "claims 0×0 pixels" in found.repaired[0].reason


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_drawn_before_the_exif_turn_turn_with_the_picture(orientation):
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[4:9, 10:25] = 255  # the thing, in the stored picture
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    seen = decode(file.getvalue())
    assert seen.size == (30, 40)
    rows, columns = np.nonzero(np.asarray(seen)[..., 0])
    found = fitted(said((10, 4, 25, 9), size=(40, 30)), file.getvalue(), seen.size)
    assert found.columns["boxes"] == ((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1),)
    assert f"EXIF {orientation}" in found.repaired[0].reason


def test_boxes_drawn_after_the_exif_turn_stay():
    found = fitted(said((1, 1, 2, 2), size=(30, 40)), b"not looked at", (30, 40))
    assert found.columns["boxes"] == ((1, 1, 2, 2),)
    assert not found.repaired
