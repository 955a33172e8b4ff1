"""Colours' names, and the space they are compared in, against published values."""

import numpy as np
import pytest
from PIL import ImageColor

from models.runtime.operators.colors import lab, named


@pytest.mark.parametrize(
    ("color", "known"),  # of the sRGB primaries and greys under D65, as colour tables print them
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
    ],
)
def test_colours_lie_where_they_are_known_to(color, known):
    assert lab(np.array([color], np.uint8))[0] == pytest.approx(known, abs=0.03)


def test_each_named_colour_has_its_name_or_its_others():
    names = list(ImageColor.colormap)
    codes = np.array([ImageColor.getrgb(name) for name in names], np.uint8)
    for name, found in zip(names, named(codes), strict=True):
        assert ImageColor.getrgb(found) == ImageColor.getrgb(name)


def test_near_colours_are_named_as_people_see_them():
    near = np.array([(250, 3, 4), (3, 3, 6), (251, 160, 2), (30, 30, 125), (0, 254, 255)], np.uint8)
    assert named(near) == ("red", "black", "orange", "midnightblue", "aqua")
    assert named(np.zeros((0, 3), np.uint8)) == ()
