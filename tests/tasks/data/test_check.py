"""Every kind of picture that real folders hold has one defined outcome."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.data.check import check, check_all, without_contradictions
from tasks.data.formats.source import Labelled, Rejected


def labelled(file: Path, concepts=("cat",), name=None, **rest) -> Labelled:
    return Labelled(file, name or file.name, "labels.csv:2", concepts=concepts, **rest)


def noise(mode="RGB", size=(40, 30)) -> Image.Image:
    bands = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    return Image.fromarray(bands, "RGBA").convert(mode)


def saved(image: Image.Image, format="PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(noise(), "JPEG", exif=exif)


GOOD = {
    "gray.png": (saved(noise("L")), (40, 30)),
    "palette.png": (saved(noise("P")), (40, 30)),
    "rgba.png": (saved(noise("RGBA")), (40, 30)),
    "cmyk.jpg": (saved(noise("CMYK"), "JPEG"), (40, 30)),
    "sixteen.png": (saved(Image.fromarray(np.full((30, 40), 40000, np.uint16))), (40, 30)),
    "moving.gif": (saved(noise("P"), "GIF", save_all=True, append_images=[noise("P").rotate(90)]), (40, 30)),
    "SHOUTING.JPG": (saved(noise(), "JPEG"), (40, 30)),
    "a photo [1] (ü).jpg": (saved(noise(), "JPEG"), (40, 30)),
    "wrong suffix.jpg": (saved(noise(), "PNG"), (40, 30)),
    "turned.jpg": (turned(6), (30, 40)),
    "senseless exif.jpg": (turned(77), (40, 30)),
}


@pytest.mark.parametrize("name", GOOD)
def test_pictures_of_every_kind_come_in_as_they_are_seen(tmp_path, name):
    content, size = GOOD[name]
    (tmp_path / name).write_bytes(content)
    found = check(labelled(tmp_path / name))
    assert (found.annotation.width, found.annotation.height) == size
    assert found.annotation.image == name
    assert found.annotation.concepts == ("cat",)


def bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


BAD = {
    "empty.jpg": (b"", "not an image"),
    "text.jpg": (b"<html>404</html>", "not an image in a known format"),
    "truncated.jpg": (saved(noise(), "JPEG")[:-200], "cannot be decoded"),
    "truncated.png": (saved(noise())[:-200], "cannot be decoded"),
    "bomb.png": (bomb(), "pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_left_out_with_the_reason(tmp_path, name):
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    found = check(labelled(tmp_path / name))
    assert isinstance(found, Rejected)
    assert (found.path, found.what) == (name, "image")
    assert reason in found.reason
    assert str(tmp_path) not in found.reason  # the same report on every machine


def test_a_missing_picture_is_left_out(tmp_path):
    assert check(labelled(tmp_path / "gone.jpg")).reason == "missing: there is no such file"
    (tmp_path / "folder.jpg").mkdir()
    assert "cannot be read" in check(labelled(tmp_path / "folder.jpg")).reason


def test_a_path_that_leaves_the_folder_is_left_out(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(noise()))
    assert "leaves" in check(labelled(tmp_path / "a.png", name="../a.png")).reason


def test_an_impossible_size_takes_the_image_out(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(noise()))
    box = {"boxes": ((1, 1, 2, 2),), "areas": (None,), "box_concepts": ("a",), "box_where": ("0",)}
    found = check(labelled(tmp_path / "a.png", crowd=(False,), difficult=(False,), size=(30, 40), **box))
    assert "claims 30×40" in found.reason


def test_known_pictures_are_not_decoded_again(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(noise()))
    sha = check(labelled(tmp_path / "a.png")).annotation.sha256
    assert check(labelled(tmp_path / "a.png"), {sha: (7, 5)}).annotation.width == 7


def test_all_of_a_source_is_sorted_and_nothing_is_lost(tmp_path):
    (tmp_path / "b.png").write_bytes(saved(noise()))
    (tmp_path / "a.png").write_bytes(saved(noise("L")))
    filters = list(warnings.filters)
    outcome = check_all([labelled(tmp_path / n) for n in ("b.png", "a.png", "gone.png")])
    assert [image.annotation.image for image in outcome.images] == ["a.png", "b.png"]
    assert [(row.path, row.what) for row in outcome.rejected] == [("gone.png", "image")]
    assert warnings.filters == filters  # the decoder's own are set in threads


def test_the_same_bytes_under_two_concepts_take_all_copies_out(tmp_path):
    for name in ("shorts/1.png", "skirt/9.png", "skirt/10.png", "skirt/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(saved(noise("L" if name.endswith("2.png") else "RGB")))
    images = check_all(
        [
            labelled(tmp_path / n, (n.split("/")[0],), n)
            for n in ("shorts/1.png", "skirt/9.png", "skirt/10.png", "skirt/2.png")
        ]
    ).images
    kept, rejected = without_contradictions(images)
    assert [image.annotation.image for image in kept] == ["skirt/2.png"]
    assert [row.path for row in rejected] == ["shorts/1.png", "skirt/10.png", "skirt/9.png"]
    assert "here shorts, also as skirt/10.png (skirt)" in rejected[0].reason


def test_twins_under_one_concept_stay(tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(saved(noise()))
    images = check_all([labelled(tmp_path / n) for n in ("1.png", "2.png")]).images
    assert without_contradictions(images) == (images, ())
