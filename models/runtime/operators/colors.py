"""Names of colours: the nearest that the W3C has one for, as people see distances."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import ImageColor

from ..predictions import Array

# From linear sRGB to XYZ under D65, IEC 61966-2-1:1999; its rows' sums are the white point.
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)


def lab(colors: Array) -> Array:
    """(N, 3) float64 CIELAB (L* 0 to 100, a*, b*) of (N, 3) uint8 sRGB.

    The transfer function is IEC 61966-2-1's, the rest CIE 15:2004: equal distances look about equally large.
    """
    shares = colors / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def named(colors: Array) -> tuple[str, ...]:
    """The W3C name nearest to each of (N, 3) uint8 sRGB, by the distance in CIELAB (CIE 1976); the first of equals."""
    names, known = _known()
    apart = np.linalg.norm(lab(colors)[:, None] - known, axis=-1)
    return tuple(names[i] for i in apart.argmin(axis=1))


@cache
def _known() -> tuple[tuple[str, ...], Array]:
    """All names, those that mean the same colour (aqua and cyan) in the order of the alphabet, and where they lie."""
    names = tuple(sorted(ImageColor.colormap))
    return names, lab(np.array([ImageColor.getrgb(name) for name in names], np.uint8))
