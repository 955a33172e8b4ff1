"""One decoder, and a defined outcome for every kind of picture a source may hold."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from models.runtime import images
from models.runtime.faults import Fault
from models.runtime.images import FORMATS, decode, to_rgb

# Four colours, so that every turn and mirroring of the picture shows. Wide: a wrong turn changes the size too.
RED, GREEN, BLUE, GREY = (250, 10, 10), (10, 250, 10), (10, 10, 250), (128, 128, 128)


def quarters(width: int = 64, height: int = 32) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    for y, x, colour in ((0, 0, RED), (0, 1, GREEN), (1, 0, BLUE), (1, 1, GREY)):
        pixels[y * height // 2 :, x * width // 2 :] = colour
    pixels[height // 2 :, : width // 2] = BLUE
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middles of the quarters: top left, top right, bottom left, bottom right."""
    width, height = image.size
    return [image.getpixel((x, y)) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]


def looks_like(image: Image.Image, *colours, within: int = 12) -> bool:
    return image.mode == "RGB" and bool((np.abs(np.subtract(corners(image), colours)) <= within).all())


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_opens(format):
    assert looks_like(decode(encoded(quarters(), format)), RED, GREEN, BLUE, GREY, within=90 if format == "GIF" else 12)


def test_path_text_and_bytes_are_one_picture(tmp_path):
    content = encoded(quarters(), "JPEG")
    path = tmp_path / "photo with space (1) ñ.JPG"
    path.write_bytes(content)
    pictures = [np.asarray(decode(source)) for source in (path, str(path), content)]
    assert (pictures[0] == pictures[1]).all()
    assert (pictures[0] == pictures[2]).all()


def test_grayscale():
    assert looks_like(decode(encoded(quarters().convert("L"), "PNG")), (83,) * 3, (151,) * 3, (37,) * 3, GREY)


def test_black_and_white():
    assert decode(encoded(Image.new("1", (4, 4), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_transparent_palette_is_laid_on_white():
    image = quarters().quantize(4)
    clear = image.getpixel((0, 0))
    assert looks_like(decode(encoded(image, "PNG", transparency=clear)), (255,) * 3, GREEN, BLUE, GREY)


def test_transparent_colour_of_an_rgb_png_is_laid_on_white():
    content = encoded(quarters(), "PNG", transparency=RED)
    assert looks_like(decode(content), (255,) * 3, GREEN, BLUE, GREY)


def test_half_transparent_is_mixed_with_white():
    layer = quarters()
    layer.putalpha(Image.new("L", layer.size, 128))
    mixed = [tuple((v + 255) // 2 for v in colour) for colour in (RED, GREEN, BLUE, GREY)]
    assert looks_like(decode(encoded(layer, "PNG")), *mixed)


def test_grey_with_alpha_is_laid_on_white():
    assert decode(encoded(Image.new("LA", (4, 4), (0, 0)), "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_cmyk():
    assert looks_like(decode(encoded(quarters().convert("CMYK"), "JPEG", quality=95)), RED, GREEN, BLUE, GREY)


def test_sixteen_bits_keep_their_high_byte():
    pixels = np.array([[0x0000, 0x00FF, 0x0100], [0x7F80, 0xFF00, 0xFFFF]], np.uint16)
    image = decode(encoded(Image.fromarray(pixels), "PNG"))
    assert image.mode == "RGB"
    assert np.asarray(image)[..., 0].tolist() == [[0, 0, 1], [0x7F, 0xFF, 0xFF]]


@pytest.mark.parametrize(
    ("pixels", "seen"),
    [
        (np.array([[-5, 256, 65535]], np.int32), [[0, 1, 255]]),  # sixteen bits in a wider mode
        (np.array([[0, 50_000, 100_000]], np.int32), [[0, 127, 255]]),  # by its own largest
        (np.array([[0.0, 0.5, 1.0]], np.float32), [[0, 127, 255]]),
        (np.array([[np.nan, -1.0, np.inf, 2.0]], np.float32), [[0, 0, 0, 255]]),
        (np.zeros((1, 2), np.float32), [[0, 0]]),
    ],
)
def test_wider_pixels_are_scaled_to_eight_bits(pixels, seen):
    assert np.asarray(decode(encoded(Image.fromarray(pixels), "TIFF")))[..., 0].tolist() == seen


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "PA", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I", "F"]
)
def test_any_mode_becomes_rgb(mode):
    seen = to_rgb(Image.new(mode, (3, 2)))
    assert (seen.mode, seen.size) == ("RGB", (3, 2))


TURNED = {  # EXIF orientation: what turns the stored picture upright, so its inverse stores it so
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # stored turned left, shown turned right
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_gives_the_upright_picture(format, orientation):
    method = TURNED[orientation]
    stored = quarters() if method is None else quarters().transpose(method)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(encoded(stored, format, exif=exif))
    assert image.size == (64, 32)
    assert looks_like(image, RED, GREEN, BLUE, GREY, within=30)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientation_changes_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert looks_like(decode(encoded(quarters(), "JPEG", exif=exif)), RED, GREEN, BLUE, GREY)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0rubbish",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",  # its table lies outside
        b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHI", 1, 0x0112, 2, 400) + b"\0" * 8,  # orientation as a text
    ],
)
def test_garbage_exif_is_ignored(block):
    assert looks_like(decode(encoded(quarters(), "JPEG", exif=block)), RED, GREEN, BLUE, GREY)


def test_first_frame_of_a_gif():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content).getpixel((4, 4)) == pytest.approx(RED, abs=8)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_truncated(tmp_path, format):
    path = tmp_path / "half"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), format)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(Fault, match=r"half: (cannot be decoded \(.+\)|not an image in a known format)"):
        decode(path)


def test_text_names_the_formats(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not a picture")
    with pytest.raises(Fault, match=r"notes\.jpg: not an image in a known format \(JPEG, PNG, BMP, .*\)"):
        decode(path)


def test_a_format_outside_the_list_is_refused():
    with pytest.raises(Fault, match=r"not an image in a known format"):
        decode(encoded(quarters(), "ICO"))


def test_missing_file(tmp_path):
    with pytest.raises(Fault, match=r"none\.png: there is no such file"):
        decode(tmp_path / "none.png")


def test_folder(tmp_path):
    with pytest.raises(Fault, match=r": a folder, not an image"):
        decode(tmp_path)


def test_zero_bytes(tmp_path):
    path = tmp_path / "empty.png"
    path.write_bytes(b"")
    with pytest.raises(Fault, match=r"empty\.png: not an image"):
        decode(path)


def test_bytes_are_called_by_the_name_given():
    with pytest.raises(Fault, match=r"^image 7: not an image"):
        decode(b"", "image 7")


def test_more_pixels_than_allowed(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 64 * 32)
    decode(encoded(quarters(), "PNG"))
    monkeypatch.setattr(images, "MAX_PIXELS", 64 * 32 - 1)
    with pytest.raises(Fault, match=r"image: 64×32 pixels, more than the 2,047 allowed"):
        decode(encoded(quarters(), "PNG"))


def test_a_bomb_by_its_header_alone():
    content = bytearray(encoded(Image.new("RGB", (1, 1)), "BMP"))
    content[18:26] = struct.pack("<ii", 40_000, 40_000)
    with pytest.raises(Fault, match=r"exceeds limit|more than the 178,956,970 allowed"):
        decode(bytes(content))
