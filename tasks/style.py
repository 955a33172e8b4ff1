"""The look of every picture that is drawn: colours, names that fit, and the sheet that plots are painted on."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.files import write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Dark enough for white letters, light enough to show on a dark picture, and far enough apart for most eyes.
PALETTE = (
    "#1f6fb4",
    "#d1352b",
    "#1b8a3a",
    "#c2570c",
    "#7b4fb0",
    "#0e8a8a",
    "#c2185b",
    "#7a6a00",
    "#d81bb0",
    "#4a5fd0",
    "#00897b",
    "#8e24aa",
    "#43a047",
    "#0277bd",
    "#e4572e",
    "#9e6700",
    "#607d8b",
    "#558b2f",
    "#ad1457",
    "#8d6e63",
)
VERDICTS = {"better": PALETTE[2], "worse": PALETTE[1]}
INK, PALE_INK, FAINT = "#222222", "#777777", "#b8b8b8"

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
}


def colour(label: int) -> str:
    """The colour of a concept by its place in the model's concepts: the same in every picture."""
    return PALETTE[label % len(PALETTE)]


def paint_to(path: Path, size: tuple[float, float], paint: Callable[[Figure], None]) -> Path:
    """Paint a figure of so many inches and write it as PNG. matplotlib's global state stays as it was."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; the tables still have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        paint(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return write(path, buffer.getvalue())
