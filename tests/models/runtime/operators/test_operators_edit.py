"""Cut, resized and turned pictures, and the way back from their pixels to the source's."""

import numpy as np
import pytest
from PIL import Image

from models.runtime.operators.edit import ImageCrop, ImageResize, ImageRotate, enlarged
from models.runtime.operators.views import View, in_source
from models.runtime.predictions import Regions

NAMES = ("mark",)


def noise(size=(60, 40)):
    return np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)


def regions(*boxes):
    count = len(boxes)
    columns = np.array(boxes, np.float64).reshape(-1, 4), np.ones(count, np.float32), np.zeros(count, np.int64)
    return Regions(*columns, NAMES)


def test_crops_show_their_regions():
    shades = noise()
    given = regions((10, 5, 20, 25), (10.4, 5.6, 20.2, 25.9), (50, 30, 90, 90))
    crops = ImageCrop()(image=View.whole(Image.fromarray(shades)), regions=given)
    places = [(10, 5, 20, 25), (10, 5, 21, 26), (50, 30, 60, 40)]  # whole pixels outwards, inside the picture
    for view, (x0, y0, x1, y1) in zip(crops.views, places, strict=True):
        assert (np.asarray(view.image) == shades[y0:y1, x0:x1]).all()
        assert view.frame().tolist() == [x0, y0, x1, y1]
    assert crops.regions is given


def test_a_margin_shows_more_on_each_side():
    crop = ImageCrop(margin=1.5)(image=View.whole(Image.fromarray(noise())), regions=regions((20, 10, 40, 18)))
    assert crop.views[0].frame().tolist() == [15, 8, 45, 20]
    assert enlarged(np.array([[20.0, 10, 40, 18]]), 0.5).tolist() == [[25, 12, 35, 16]]


def test_a_region_without_area_or_outside_is_one_pixel():
    crops = ImageCrop()(image=View.whole(Image.fromarray(noise())), regions=regions((5, 5, 5, 5), (99, 99, 120, 120)))
    assert [view.image.size for view in crops.views] == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("which", "size"), [("longer", (30, 20)), ("shorter", (45, 30)), ("width", (30, 20)), ("height", (45, 30))]
)
@pytest.mark.parametrize("filter", ["nearest", "bilinear"])
def test_the_named_side_gets_its_length_and_shapes_stay(which, size, filter):
    view = ImageResize(side=30, which=which, filter=filter)(image=View.whole(Image.fromarray(noise())))
    assert view.image.size == size
    assert view.frame() == pytest.approx([0, 0, 60, 40])


def test_a_thin_picture_keeps_a_pixel():
    assert ImageResize(side=10)(image=View.whole(Image.new("RGB", (5000, 1)))).image.size == (10, 1)


def test_several_crops_are_changed_one_by_one():
    crops = ImageCrop()(image=View.whole(Image.fromarray(noise())), regions=regions((0, 0, 20, 10), (30, 0, 40, 40)))
    smaller = ImageResize(side=10)(image=crops)
    assert [view.image.size for view in smaller.views] == [(10, 5), (2, 10)]
    assert smaller.regions is crops.regions
    assert len(ImageResize()(image=crops[:0])) == 0


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3), (-90, 3), (360, 0)])
def test_a_quarter_turn_changes_no_pixel(degrees, turns):
    shades = noise()
    turned = ImageRotate(degrees=degrees)(image=View.whole(Image.fromarray(shades)))
    assert (np.asarray(turned.image) == np.rot90(shades, turns)).all()
    assert turned.frame() == pytest.approx([0, 0, 60, 40])


def spots(image):
    """The box around what is white."""
    rows, columns = np.nonzero(np.asarray(image.convert("L")) > 200)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("degrees", [90, 180, -90, 30, -77.5])
def test_what_is_found_in_a_changed_picture_lies_where_it_is_in_the_source(degrees):
    source = Image.new("RGB", (300, 200))
    source.paste("white", (100, 60, 104, 63))  # small: a turned box's box is larger than the thing
    view = ImageRotate(degrees=degrees)(image=View.whole(source))
    view = view.cut((10, 5, view.image.width, view.image.height))
    view = ImageResize(side=900)(image=view)
    found = in_source(view, regions(spots(view.image)))
    assert found.boxes[0] == pytest.approx([100, 60, 104, 63], abs=3)
    again = view.boxes_to_source(view.boxes_from_source(np.array([[100.0, 60, 104, 63]])))
    assert (again[0, :2] <= [100.01, 60.01]).all()
    assert (again[0, 2:] >= [103.99, 62.99]).all()
