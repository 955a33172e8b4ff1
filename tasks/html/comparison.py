"""A comparison as one HTML file that needs nothing beside it: which is better, by how much, and the curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.runtime.faults import short
from tasks.files import Rows
from tasks.html import tables
from tasks.html.charts import Chart, blank, draw, item_of, unit
from tasks.html.lines import GREY, Line, thinned
from tasks.html.page import as_it_is, bokeh_script, template
from tasks.metrics.compare import LOWER_IS_BETTER, Report, curves_of
from tasks.metrics.curves import Curve
from tasks.report import SAID, as_text
from tasks.style import VERDICTS, colour

if TYPE_CHECKING:
    from bokeh.models.plots import Plot

PAIRS = 12  # of more pairs the chart has the number that counts alone
LONGEST, HALF = 46, 21  # letters of a name in a chart as narrow as a phone, and of each of two
ROW = 44  # pixels: a name, and its bar below
NOT_SHARES = frozenset({"log_loss", "false_positives", "false_negatives", "true_positives"})  # have their own scale


@dataclass(frozen=True, slots=True)
class Choice:
    """A concept that the curves can be of, or all together, and its charts."""

    name: str
    charts: tuple[Chart, ...]


def comparison_page(
    title: str,
    sentences: Sequence[str],
    totals: Rows,
    concepts: Rows,
    differences: Rows,
    labels: Sequence[str],
    reports: Sequence[Report],
    revision: str,
    created: str,
) -> str:
    """The page of a comparison (tasks.compare): of all its rows and sentences, and the curves of its reports.

    sentences: one in `**…**` is a warning.  labels: what each report is called.  revision: of the code.
    All text in it is escaped.
    """
    warnings = [text[2:-2] for text in sentences if _warns(text)]
    bars = _differences(differences)
    choices = _choices(labels, reports)
    drawn = bars + [chart for choice in choices for chart in choice.charts]
    return template("comparison.html").render(
        title=title,
        style=as_it_is("report.css"),
        scripts=as_it_is("charts.js", "tables.js", "comparison.js"),
        quiet=GREY,
        bokeh=bokeh_script() if drawn else "",
        said=[text for text in sentences if not _warns(text)],
        warnings=warnings,
        bars=bars,
        verdicts=[*VERDICTS.items(), ("cannot tell", GREY)],
        choices=choices,
        labels=[(label, colour(i)) for i, label in enumerate(labels)],
        items={chart.name: chart.item for chart in drawn},
        tables=[table for table in _tables(totals, concepts, differences) if table.rows],
        measured=[("Code", revision), ("Compared", created)],
    )


def _warns(text: str) -> bool:
    return len(text) > 4 and text.startswith("**") and text.endswith("**")


def _tables(totals: Rows, concepts: Rows, differences: Rows) -> list[tables.Table]:
    first = ("Concept", "Model", "Dataset")
    # A concept's rows stand together, in the order of the first that has it.
    place = {name: i for i, name in enumerate(dict.fromkeys(row.get("Concept", "") for row in concepts))}
    together = sorted(concepts, key=lambda row: place[row.get("Concept", "")])
    ordered = [{name: row[name] for name in first if name in row} | row for row in together]
    named = [row | {"Metric": SAID.get(row["Metric"], row["Metric"])} for row in differences]
    return [
        _table("total_summary", "All concepts together", totals),
        _table("concepts_summary", "Per concept", ordered),
        _table("differences", "Differences on the same images", named),
    ]


def _table(name: str, title: str, rows: Rows) -> tables.Table:
    """Of rows that may lack a column or a value, which a column of words shows as a dash."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    words = {column for row in rows for column, value in row.items() if isinstance(value, str)}

    def value(row: Mapping[str, Any], column: str) -> Any:
        given = row.get(column)
        return as_text(given) if column in words and not isinstance(given, str) else given

    whole = [{column: value(row, column) for column in columns} for row in rows]
    return tables.of_rows(name, title, whole) if whole else tables.Table(name, title, (), ())


def _differences(differences: Rows) -> list[Chart]:
    """A chart a pair, a row a metric; what is no share of anything has a scale, so a chart, of its own."""
    known = [row for row in differences if row["Low"] is not None]
    pairs = dict.fromkeys(_pair(row) for row in known)
    if len(pairs) > PAIRS:
        headlines = [next(row for row in known if _pair(row) == pair) for pair in pairs]
        one = len({dataset for dataset, _, _ in pairs}) == 1
        most = HALF if one else HALF * 2 // 3
        names = [
            f"{short(second, most)} − {short(first, most)}" + ("" if one else f", {short(dataset, most)}")
            for dataset, first, second in pairs
        ]
        said = f"The number that counts of each pair, {_said(headlines[0]['Metric'])}: the second less the first."
        return [Chart("difference_0", "Second − first", said, item_of(_bars(headlines, names, _range(headlines))))]
    drawn: list[Chart] = []
    for dataset, first, second in pairs:
        its = [row for row in known if _pair(row) == (dataset, first, second)]
        shares = [row for row in its if row["Metric"] not in NOT_SHARES]
        for rows in [shares, *([row] for row in its if row["Metric"] in NOT_SHARES)]:
            if rows:
                same = rows[0]["Metric"] if rows is not shares else None
                span = _range([row for row in known if _scale(row) == same])
                names = [f"{_said(row['Metric'])} {_signed(row['Difference'])}{_verdict(row)}" for row in rows]
                chart = item_of(_bars(rows, names, span))
                drawn.append(Chart(f"difference_{len(drawn)}", f"{second} − {first}", f"on {dataset}", chart))
    return drawn


def _pair(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["Dataset"], row["First"], row["Second"]


def _scale(row: Mapping[str, Any]) -> str | None:
    return row["Metric"] if row["Metric"] in NOT_SHARES else None


def _said(metric: str) -> str:
    return SAID.get(metric, metric) + (" (less is better)" if metric in LOWER_IS_BETTER else "")


def _verdict(row: Mapping[str, Any]) -> str:
    """In words beside the colour, which one of the models has too; nothing where nobody can tell."""
    return f", {row['Second is']}" if row["Second is"] in VERDICTS else ""


def _signed(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def _range(rows: Rows) -> tuple[float, float]:
    """From the lowest bound to the highest, 0 among them, with some room."""
    ends = [0.0, *(float(row[end]) for row in rows for end in ("Low", "High"))]
    room = 0.06 * (max(ends) - min(ends)) or 0.01
    return min(ends) - room, max(ends) + room


def _bars(rows: Rows, names: Sequence[str], span: tuple[float, float]) -> Plot:
    """A dot and a bar a row, the difference and its 95 % interval, below its name: beside it is no room on a phone."""
    from bokeh.models.ranges import Range1d
    from bokeh.models.tools import HoverTool

    y = -np.arange(len(rows), dtype=np.float64)
    across, down = Range1d(start=span[0], end=span[1]), Range1d(start=0.4 - len(rows), end=0.75)
    plot: Any = blank(ROW * len(rows) + 50, ("", ""), across, down)
    plot.left[0].visible = plot.ygrid[0].visible = False
    draw(plot, "Line", {"x": [0, 0], "y": [-len(rows), 1]}, line_color=GREY, line_width=1.5)
    low, high, middle = ([row[column] for row in rows] for column in ("Low", "High", "Difference"))
    tints = [VERDICTS.get(str(row["Second is"]), GREY) for row in rows]
    bars = {"x0": low, "y0": y, "x1": high, "y1": y, "colour": tints}
    draw(plot, "Segment", bars, line_color="colour", line_width=4)
    dots = {"x": middle, "y": y, "low": low, "high": high, "colour": tints, "name": list(names)}
    dots["verdict"] = [row["Second is"] or "" for row in rows]
    seen = draw(plot, "Scatter", dots, size=10, fill_color="colour", line_color="white", line_width=1.5)
    text = {"x": np.full(len(rows), span[0]), "y": y + 0.4, "text": [short(name, LONGEST) for name in names]}
    look: dict[str, Any] = {"text_baseline": "middle", "text_color": GREY, "text_font": "system-ui"}
    draw(plot, "Text", text, text_font_size="12px", **look)
    tips = [("", "@name"), ("95 % interval", "@low{0.000} to @high{0.000}"), ("the second is", "@verdict")]
    plot.add_tools(HoverTool(renderers=[seen], tooltips=tips))
    return plot


def _choices(labels: Sequence[str], reports: Sequence[Any]) -> list[Choice]:
    """All concepts together, then those with most to find; nothing of reports without curves."""
    return [
        Choice(name, tuple(_charts(str(i), labels, curves)))
        for i, (name, curves) in enumerate(curves_of(reports).items())
    ]


def _charts(place: str, labels: Sequence[str], curves: Sequence[Curve | None]) -> list[Chart]:
    """Precision over recall, and ROC where what is to be left alone can be counted."""
    there = {i: each for i, each in enumerate(curves) if each is not None and each.positives and len(each.thresholds)}
    steps = [Line(*thinned(*each.over_recall), labels[i], colour(i), i) for i, each in there.items()]
    axes, name = ("recall", "precision"), f"precision_recall_{place}"
    drawn = [Chart(name, "Precision over recall", "", item_of(_overlaid(steps, axes, True)))]
    if there and all(each.negatives for each in there.values()):
        lines = [Line(*thinned(*each.roc), labels[i], colour(i), i) for i, each in there.items()]
        axes = ("false positive rate", "recall")
        drawn.append(Chart(f"roc_{place}", "ROC", "", item_of(_overlaid(lines, axes, False))))
    return drawn


def _overlaid(lines: Sequence[Line], axes: tuple[str, str], steps: bool) -> Plot:
    """Lines that the page shows and hides by their names: `line` and the place of the label."""
    plot = blank(340, axes, unit(), unit())
    if not steps:
        draw(plot, "Line", {"x": [0, 1], "y": [0, 1]}, line_color=GREY, line_dash="dotted")
    for line in lines:
        look: dict[str, Any] = {"line_color": line.colour, "line_width": 2}
        kind, more = ("Step", {"mode": "before"}) if steps else ("Line", {})
        draw(plot, kind, {"x": line.x, "y": line.y}, **look, **more).name = f"line{line.concept}"
    return plot
