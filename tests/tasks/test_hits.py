"""A contact sheet shows what was asked, what was found with its score, and says of what it cannot show."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tasks import hits
from tasks.hits import CELL, COLUMNS, SAME, groups_sheet, hits_sheet
from tasks.sheets import GAP

RED, BLUE = (220, 30, 30), (20, 60, 220)


@pytest.fixture
def pictures(tmp_path):
    """Three pictures in one colour: `0.png` is high, `1.png` wide, `2.png` of one pixel."""
    for i, (size, colour) in enumerate([((20, 60), RED), ((90, 30), BLUE), ((1, 1), BLUE)]):
        Image.new("RGB", size, colour).save(tmp_path / f"{i}.png")
    return tmp_path


def row(i: int, **more: object) -> dict:
    told = {"rank": i + 1, "score": 0.9, "image": f"{i}.png", "split": "train", "concepts": ["bar"], "same": False}
    return told | {"similarity": 0.99, "exact": False, "leak": False} | more


def cell(sheet: Image.Image, column: int, line: int = 0) -> np.ndarray:
    """The pixels of a picture's square."""
    x, y = GAP + column * (CELL + GAP), 2 * GAP + 13 + line * (sheet.height - 2 * GAP - 13)
    return np.asarray(sheet)[y : y + CELL, x : x + CELL]


def share(pixels: np.ndarray, colour) -> float:
    return float((pixels == colour).all(axis=-1).mean())


def test_the_asked_one_comes_first_then_the_hits_each_whole(pictures):
    asked = Image.new("RGB", (50, 50), (1, 200, 1))
    sheet = hits_sheet(asked, "asked.jpg", [row(0), row(1)], pictures, "the nearest")
    assert sheet.width == GAP + 3 * (CELL + GAP)
    assert share(cell(sheet, 0), (1, 200, 1)) > 0.8
    assert 0.2 < share(cell(sheet, 1), RED) < 0.4  # a third as wide as high
    assert 0.2 < share(cell(sheet, 2), BLUE) < 0.4


def test_what_was_asked_about_itself_is_framed(pictures):
    tint = tuple(int(SAME[i : i + 2], 16) for i in (1, 3, 5))
    asked = Image.new("RGB", (5, 5))
    plain, framed = (hits_sheet(asked, "a", [row(0, same=same)], pictures, "") for same in (False, True))
    assert share(cell(plain, 1), tint) == 0 < share(cell(framed, 1), tint)


def test_scores_and_concepts_are_written_below(pictures, monkeypatch):
    told = []
    whole = hits.captioned
    monkeypatch.setattr(hits, "captioned", lambda *given: told.append(given[2:]) or whole(*given))
    hits_sheet(Image.new("RGB", (5, 5)), "asked.jpg", [row(0, score=0.98765, concepts=["a", "b"])], pictures, "")
    assert told == [("asked", "", "asked.jpg"), ("1.  0.988", "train, a, b", "0.png")]


def test_a_picture_that_has_gone_leaves_an_empty_cell(pictures):
    sheet = hits_sheet(Image.new("RGB", (5, 5)), "a", [row(7), row(0)], pictures, "")
    assert share(cell(sheet, 1), (255, 255, 255)) > 0.9
    assert share(cell(sheet, 2), RED) > 0.2


def test_no_more_than_fit_a_sheet_are_shown_and_it_says_so(pictures, monkeypatch):
    headings = []
    whole = hits._headed
    monkeypatch.setattr(hits, "_headed", lambda cells, heading: headings.append(heading) or whole(cells, heading))
    monkeypatch.setattr(hits, "MOST", 7)
    monkeypatch.setattr(hits, "GROUPS", 2)
    sheet = hits_sheet(Image.new("RGB", (5, 5)), "a", [row(2)] * 9, pictures, "found")
    assert sheet.width == GAP + COLUMNS * (CELL + GAP)
    groups_sheet([[row(0), row(1)]] * 3, pictures, "groups")
    assert headings == ["found, 7 of 9 shown", "groups, 2 of 3 groups shown"]


def test_each_group_has_a_row_of_its_own(pictures):
    large = [row(0, leak=True)] * 9
    sheet = groups_sheet([large, [row(1), row(1)]], pictures, "groups")
    assert sheet.width == GAP + COLUMNS * (CELL + GAP)
    half = (sheet.height - 2 * GAP - 13) // 2
    below = np.asarray(sheet)[2 * GAP + 13 + half :]
    assert share(below[:CELL, : 2 * (CELL + GAP)], BLUE) > 0.2
    assert share(below[:, 3 * (CELL + GAP) :], BLUE) == share(below, RED) == 0
    assert share(cell(sheet, COLUMNS - 1), RED) == 0  # `and 4 more`
    tint = tuple(int(hits.LEAK[i : i + 2], 16) for i in (1, 3, 5))
    assert share(cell(sheet, 0), tint) > 0
