"""The look of every picture that is drawn: colours, names that fit, and the sheet that plots are painted on."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.runtime.operators.drawing import INK, PALETTE
from models.runtime.operators.drawing import colour as colour
from tasks.files import write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICTS = {"better": PALETTE[2], "worse": PALETTE[1]}
PALE_INK, FAINT = "#777777", "#b8b8b8"

# matplotlib's settings for every plot. parse_math: a `$` in a concept's name is a dollar.
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "svg.hashsalt": "sightline",  # the same plot, the same bytes
}


def paint_to(path: Path, size: tuple[float, float], paint: Callable[[Figure], None]) -> Path:
    """Paint a figure of so many inches and write it as PNG or SVG. matplotlib's global state stays as it was."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; the tables still have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        paint(figure)
        buffer = io.BytesIO()
        kind = path.suffix[1:].lower()
        figure.savefig(buffer, format=kind, metadata={"Software" if kind == "png" else "Date": None})
    return write(path, buffer.getvalue())
