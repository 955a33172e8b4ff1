"""The charts of a report's page as JSON that Bokeh's script draws; their grounds are clear, so light and dark do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.data.annotations import Annotation
from tasks.html.lines import GREY, MANY, TOLD, Line, counted, over_threshold, precision_recall, roc, together
from tasks.metrics.calibration import BINS
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.compare import Report
from tasks.metrics.curves import Curve
from tasks.metrics.detection import DetectionReport
from tasks.metrics.retrieval import CURVE, RetrievalReport
from tasks.style import PALETTE

if TYPE_CHECKING:
    from bokeh.models.plots import Plot
    from bokeh.models.renderers import GlyphRenderer
    from bokeh.models.sources import ColumnDataSource

Array = np.ndarray
WRITTEN = ("axis_label", "major_label")  # what has letters on an axis
BLUE, ORANGE = PALETTE[0], PALETTE[3]


@dataclass(frozen=True, slots=True)
class Chart:
    """name: of its place on the page.  item: what Bokeh.embed.embed_item draws.  said: what it shows, in words."""

    name: str
    title: str
    said: str
    item: dict[str, Any]


def charts(report: Report, annotations: Sequence[Annotation], scores: Array | None) -> list[Chart]:
    """Those that a report of its task has; scores: (N, C) float32 of a classifier, else None."""
    if isinstance(report, RetrievalReport):
        return [_recalls(report)]
    if not isinstance(report, ClassificationReport | DetectionReport):
        return []
    many = sum(each.positives > 0 for each in report.curves) > MANY
    some = f" The {TOLD} lowest concepts and all together." if many else ""
    at = f", at IoU {report.iou:g}" if isinstance(report, DetectionReport) else ""
    dots = "A dot is where the threshold stands."
    if isinstance(report, ClassificationReport) and report.exclusive:
        dots = "The scores of each concept against all others. A dot is where the threshold stands, if it is above 0."
    whole = together(report, annotations, scores)
    drawn = [
        Chart(
            "precision_recall",
            f"Precision over recall{at}",
            f"{dots}{some} A name hides or shows its line.",
            item_of(_curves(precision_recall(report, whole), "precision_recall", ("recall", "precision"), True)),
        )
    ]
    if isinstance(report, ClassificationReport):
        assert scores is not None
        drawn.append(
            Chart(
                "roc",
                "ROC",
                f"{dots}{some}",
                item_of(_curves(roc(report, whole), "roc", ("false positive rate", "recall"), False, diagonal=True)),
            )
        )
        whole = counted(report, annotations, scores)
    drawn.append(_over_threshold(whole, at))
    return [*drawn, _reliability(report)] if isinstance(report, ClassificationReport) else drawn


def blank(height: int, axes: tuple[str, str], x: Any, y: Any) -> Plot:
    """An empty chart of our look: as wide as its place, without tools that would keep a finger from scrolling.

    Of models alone: bokeh.plotting takes half a second more to import.
    """
    from bokeh.models.axes import LinearAxis
    from bokeh.models.grids import Grid
    from bokeh.models.plots import Plot

    clear: dict[str, Any] = dict.fromkeys(("background_fill_color", "border_fill_color", "outline_line_color"))
    look: dict[str, Any] = {"sizing_mode": "stretch_width", "toolbar_location": None, "min_border_right": 12}
    plot = Plot(height=height, x_range=x, y_range=y, **(clear | look))
    letters = {"text_color": GREY, "text_font": "system-ui", "text_font_size": "12px"}
    given: dict[str, Any] = {f"{part}_{name}": value for part in WRITTEN for name, value in letters.items()}
    given |= {"axis_label_text_font_style": "normal", "axis_line_color": GREY, "major_tick_line_color": GREY}
    below, left = (LinearAxis(axis_label=label or None, minor_tick_line_color=None, **given) for label in axes)
    plot.add_layout(below, "below")
    plot.add_layout(left, "left")
    plot.add_layout(Grid(axis=below, dimension=0, grid_line_color=GREY, grid_line_alpha=0.25))
    plot.add_layout(Grid(axis=left, dimension=1, grid_line_color=GREY, grid_line_alpha=0.25))
    return plot


def unit() -> Any:
    """0 to 1, with room for the marks at the ends."""
    from bokeh.models.ranges import Range1d

    return Range1d(start=-0.02, end=1.02)


def draw(plot: Plot, kind: str, columns: Mapping[str, Any] | ColumnDataSource, **look: Any) -> GlyphRenderer:
    """A glyph of that kind whose places are columns of the same names, or of a source."""
    from bokeh.models import glyphs
    from bokeh.models.sources import ColumnDataSource

    source = columns if isinstance(columns, ColumnDataSource) else ColumnDataSource(dict(columns))
    places = {name: name for name in ("x", "y", "x0", "y0", "x1", "y1", "top") if name in source.data}
    return plot.add_glyph(source, getattr(glyphs, kind)(**places, **look))


def _curves(lines: Sequence[Line], name: str, axes: tuple[str, str], steps: bool, diagonal: bool = False) -> Plot:
    """Lines with a legend that hides them, and a dot on each that the page moves: the source called `name`."""
    from bokeh.models.tools import HoverTool

    columns = 3 if max((len(line.name) for line in lines), default=0) < 12 else 2
    plot = blank(330 + 24 * math.ceil(len(lines) / columns), axes, unit(), unit())
    if diagonal:
        draw(plot, "Line", {"x": [0, 1], "y": [0, 1]}, line_color=GREY, line_dash="dotted")
    items = []
    for line in lines:
        look = {"line_color": line.colour, "line_width": 2.6 if line.colour == GREY else 2}
        kind = ("Step", look | {"mode": "before"}) if steps else ("Line", look)
        items.append((line.name, draw(plot, kind[0], {"x": line.x, "y": line.y}, **kind[1])))
    dots = draw(plot, "Scatter", _dots(name, lines), size=10, fill_color="colour", line_color="white", line_width=1.5)
    tips = [("", "@name"), (axes[0], "@x{0.000}"), (axes[1], "@y{0.000}")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    _legend(plot, items, columns)
    return plot


def _dots(name: str, lines: Sequence[Line]) -> ColumnDataSource:
    """One dot a line, nowhere until the page places it."""
    from bokeh.models.sources import ColumnDataSource

    nowhere = np.full(len(lines), np.nan)
    columns: dict[str, Any] = {"x": nowhere, "y": nowhere, "concept": [line.concept for line in lines]}
    columns |= {"name": [line.name for line in lines], "colour": [line.colour for line in lines]}
    return ColumnDataSource(columns, name=name)


def _legend(plot: Plot, items: Sequence[tuple[str, Any]], columns: int) -> None:
    from bokeh.models.annotations import Legend, LegendItem

    look: dict[str, Any] = {"ncols": columns, "spacing": 8, "padding": 0, "margin": 4, "click_policy": "hide"}
    look |= {"location": "top_left", "glyph_width": 16}
    legend = Legend(items=[LegendItem(label={"value": name}, renderers=[glyph]) for name, glyph in items], **look)
    legend.background_fill_color = legend.border_line_color = None
    legend.label_text_color, legend.label_text_font, legend.label_text_font_size = GREY, "system-ui", "12px"
    legend.inactive_fill_color, legend.inactive_fill_alpha = GREY, 0.25
    plot.add_layout(legend, "below")


def _over_threshold(whole: Curve, at: str) -> Chart:
    """With an upright line where the threshold stands: the source called `threshold`."""
    from bokeh.models.sources import ColumnDataSource

    plot = _curves(over_threshold(whole), "over_threshold", ("threshold", "share"), True)
    upright = ColumnDataSource({"x": [0.0, 0.0], "y": [0.0, 1.0]}, name="threshold")
    draw(plot, "Line", upright, line_color=GREY, line_dash="dashed", line_width=1.5)
    said = "All concepts together; the dashed line is the threshold."
    return Chart("over_threshold", f"Precision, recall and F1 over the threshold{at}", said, item_of(plot))


def _reliability(report: ClassificationReport) -> Chart:
    """How often scores are right that say so much, and below how many there are."""
    from bokeh.models.layouts import Column
    from bokeh.models.ranges import DataRange1d

    bins, there = report.reliability, report.reliability.count > 0
    above = blank(300, ("", "share that is right"), unit(), unit())
    draw(above, "Line", {"x": [0, 1], "y": [0, 1]}, line_color=GREY, line_dash="dotted")
    x, y = bins.confidence[there], bins.rate[there]
    draw(above, "Segment", {"x0": x, "y0": x, "x1": x, "y1": y}, line_color=ORANGE, line_width=2)
    draw(above, "Line", {"x": x, "y": y}, line_color=BLUE, line_width=2)
    draw(above, "Scatter", {"x": x, "y": y}, size=8, fill_color=BLUE, line_color=BLUE)
    what = "best score of an image" if report.exclusive else "score of a concept"
    below = blank(130, (what, "scores"), above.x_range, DataRange1d(start=0))
    middles = (np.arange(BINS) + 0.5) / BINS
    look = {"fill_color": BLUE, "line_color": None, "fill_alpha": 0.6}
    draw(below, "VBar", {"x": middles, "top": bins.count}, width=0.9 / BINS, bottom=0, **look)
    above.min_border_left = below.min_border_left = 64
    said = f"On the dotted line a score says how often it is right; the mean distance (ECE) is {bins.error:.3f}."
    both = Column(children=[above, below], sizing_mode="stretch_width")
    return Chart("reliability", "Reliability", said, item_of(both))


def _recalls(report: RetrievalReport) -> Chart:
    from bokeh.models.ranges import Range1d

    plot = blank(340, ("nearest images", "recall"), Range1d(start=0, end=CURVE + 0.6), Range1d(start=0, end=1.02))
    columns = {"x": np.arange(1.0, CURVE + 1), "y": report.recalls}
    draw(plot, "Line", columns, line_color=BLUE, line_width=2)
    draw(plot, "Scatter", columns, size=7, fill_color=BLUE, line_color=BLUE)
    said = "The share of images with a right one among so many nearest."
    return Chart("recalls", "A right one among the nearest", said, item_of(plot))


def item_of(root: Any) -> dict[str, Any]:
    """What `Bokeh.embed.embed_item` takes. By hand: importing bokeh.embed costs a second, for servers we have not."""
    from bokeh.document import Document

    document = Document()
    document.add_root(root)
    return {"target_id": None, "root_id": root.id, "doc": document.to_json(deferred=False)}
