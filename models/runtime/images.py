"""The one decoder: every picture that is trained on, measured or predicted comes through here."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .faults import Fault

# A closed list, so that a file cannot choose an exotic (and less tested) decoder by its first bytes.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # MPO, several JPEGs in one file, opens as JPEG
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)
MAX_PIXELS = 178_956_970  # twice Pillow's own warning level (a 13,000 × 13,000 picture passes)


def decode(source: Path | str | bytes, name: str = "image") -> Image.Image:
    """The picture as a person sees it: RGB, turned as its EXIF says, first frame, on white where transparent.

    source: a file, or its bytes, which a fault calls by `name`.  Raises Fault with the reason when it cannot
    be decoded whole (unknown format, truncated, zero-sized, more than MAX_PIXELS).
    """
    where = name if isinstance(source, bytes) else str(source)
    try:
        with warnings.catch_warnings():
            # Pillow warns of what we either refuse below (size) or can do nothing about (odd EXIF).
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Fault(f"{where}: {image.width}×{image.height} pixels, more than the {MAX_PIXELS:,} allowed")
                image.load()
                return to_rgb(_upright(image))
    except Fault:
        raise
    except FileNotFoundError:
        raise Fault(f"{where}: there is no such file") from None
    except IsADirectoryError:
        raise Fault(f"{where}: a folder, not an image") from None
    except Image.UnidentifiedImageError:
        raise Fault(f"{where}: not an image in a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError as error:
        raise Fault(f"{where}: {error}") from None
    except Exception as error:
        # Decoders raise whatever they like on broken bytes: OSError, SyntaxError, struct.error, …
        raise Fault(f"{where}: cannot be decoded ({error})") from None


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; as stored when that tag is missing or senseless."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # An EXIF block that cannot be parsed says nothing about orientation; the pixels are fine.
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode as 8-bit RGB: 16-bit scaled (not clipped), transparency laid on white."""
    transparent = image.has_transparency_data
    if image.mode == "RGB" and not transparent:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bit(np.asarray(image))).convert("RGB")
    if transparent:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    """16-bit values to 8 by their high byte; wider and float ones by their own largest value."""
    if np.issubdtype(pixels.dtype, np.integer) and pixels.max() < 2**16:
        return (pixels.clip(0) >> 8).astype(np.uint8)
    values = np.nan_to_num(pixels.astype(np.float64), posinf=0).clip(0)
    return (values / (values.max() or 1) * 255).astype(np.uint8)
