"""An evaluation as one HTML file that needs nothing beside it: what to know first, then everything behind it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from models.runtime.predictions import Answer
from tasks.data.annotations import Annotation
from tasks.data.dataset import Dataset
from tasks.files import Rows
from tasks.html import tables
from tasks.html.behind import Shown, images_behind, images_shown, in_turns, regions_behind, regions_shown
from tasks.html.charts import charts
from tasks.html.columns import MOST_REGIONS, MOST_SCORES, all_scores, of_regions, of_scores
from tasks.html.facts import Facts
from tasks.html.lines import GREY
from tasks.html.pictures import SIDES, embedded
from tasks.metrics.classification import ClassificationReport
from tasks.metrics.compare import COUNTS, Report
from tasks.metrics.detection import DetectionReport
from tasks.report import SAID, as_text, worst_slice
from tasks.tables import TITLES

HERE = Path(__file__).parent
SCRIPTS = ("charts.js", "columns.js", "regions.js", "scores.js", "pictures.js", "tables.js", "matrix.js", "report.js")
MOST_MEANS = 200  # concepts up to which the page has their mean scores: 40,000 numbers
OWN = ("Total Labeled", "True Positives", "False Positives")
# An address in quotes; those of w3.org are names of namespaces, which nobody fetches.
ELSEWHERE = re.compile(r"""(?<=["'`])https?://(?!www\.w3\.org/)[^"'`$]+""")
# The few numbers of the first screen, by a report's task; the headline and what it lacks are left out.
FIRST = {
    "detection": ("map", "map_75", "precision", "recall", "f1"),
    "classification": ("subset_accuracy", "macro_average_precision", "macro_f1", "macro_roc_auc", "calibration_error"),
    "retrieval": ("recall_5", "recall_10", "map_r"),
    "clustering": ("purity", "nmi"),
}


def evaluation_page(
    report: Report,
    facts: Facts,
    dataset: Dataset,
    annotations: Sequence[Annotation],
    found: Sequence[Answer],
    more: Mapping[str, Rows],
) -> str:
    """The page of a report on N annotated images and what was found in them.

    more: the report's further tables, by name (tasks.tables): slices, thresholds, voc; any may be missing.
    Pictures are of the images' own files, small, and as many as there is room for; all text in it is escaped.
    """
    data, scores = _data(report, dataset, annotations, found)
    drawn = charts(report, annotations, scores)
    return template("report.html").render(
        report=report,
        facts=facts,
        style=as_it_is("report.css"),
        scripts=as_it_is(*SCRIPTS),
        bokeh=bokeh_script() if drawn else "",
        quiet=GREY,
        data=data,
        charts=drawn,
        items={"names": [chart.name for chart in drawn], "items": [chart.item for chart in drawn]},
        headline=_number(report, report.headline),
        on=f"{report.images} images{report.conditions}",
        first=[_number(report, name) for name in _first(report)],
        worst=worst_slice(more.get("slices", ())),
        per_concept=tables.per_concept(report),
        more=list(_tables(report, more)),
        measured=_measured(report, facts),
    )


def template(name: str) -> Template:
    """A file of this folder that a page is made by; what it is given is escaped."""
    room = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    room.filters["json"] = safe_json
    return room.get_template(name)


def as_it_is(*names: str) -> Markup:
    """Files of this folder for a page that has them in it: styles, scripts."""
    return Markup("".join((HERE / name).read_text(encoding="utf-8") for name in names))


def safe_json(value: Any) -> Markup:
    """JSON that can stand inside a script element: no `<` ends it. Raises ValueError on nan."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _data(
    report: Report, dataset: Dataset, annotations: Sequence[Annotation], found: Sequence[Any]
) -> tuple[dict[str, Any] | None, np.ndarray | None]:
    """What the page's script counts from, and a classifier's scores; nothing where nothing is to be counted."""
    if isinstance(report, DetectionReport):
        columns, scores = of_regions(annotations, found, report, MOST_REGIONS), None
        shown, cells = regions_shown(report, columns), regions_behind(report)
        most, start = MOST_REGIONS, report.threshold
        more: dict[str, Any] = {"average_precision": _clean(report.average_precision)}
        more |= {"confusion": report.confusion.tolist(), "cooccurrence": None}
    elif isinstance(report, ClassificationReport):
        scores = all_scores(found, report)
        columns = of_scores(annotations, scores, report, MOST_SCORES)
        shown, cells = images_shown(annotations, scores, report), images_behind(annotations, scores, report)
        most, start = MOST_SCORES, 0.0 if report.exclusive else report.threshold
        means = _clean(report.mean_scores) if len(report.concepts) <= MOST_MEANS else None
        more = {"mean_scores": means, "cooccurrence": None if report.exclusive else report.cooccurrence.tolist()}
    else:
        return None, None
    pictures = embedded(dataset, annotations, in_turns(shown, cells, len(annotations)), SIDES[report.task])
    return {
        "task": report.task,
        "start": start,
        "lowest": columns.lowest,
        "most": most,
        "own": [[row[name] for name in OWN] for row in report.per_concept],
        "concepts": report.concepts,
        "images": [entry.image for entry in annotations],
        "columns": columns.content,
        "gallery": [_gallery(each) for each in shown if each.rows],
        "pictures": pictures,
        **more,
    }, scores


def _gallery(shown: Shown) -> dict[str, Any]:
    return {"title": shown.title, "said": shown.said, "rows": shown.rows}


def _clean(values: np.ndarray) -> Any:
    """Nested lists with six decimals and None for nan."""
    rounded = np.round(values.astype(np.float64), 6).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()


def _number(report: Report, name: str) -> dict[str, str]:
    """A number of the summary in words, with its interval or an empty one."""
    value = report.summary[name]
    ends = [report.summary.get(f"{name}_{end}", math.nan) for end in ("low", "high")]
    text = str(int(value)) if name in COUNTS else as_text(float(value))
    return {"said": SAID[name], "text": text, "interval": "" if math.isnan(ends[0]) else tables.interval(*ends)}


def _first(report: Report) -> list[str]:
    return [name for name in FIRST[report.task] if name in report.summary and name != report.headline]


def _tables(report: Report, more: Mapping[str, Rows]) -> Iterator[tables.Table]:
    if more.get("slices"):
        yield tables.of_slices(more["slices"])
    if isinstance(report, DetectionReport):
        yield tables.of_errors(report)
        yield tables.average_precision(report)
    if more.get("thresholds"):
        yield tables.of_rows("thresholds", TITLES["thresholds"], more["thresholds"])
    if more.get("voc"):
        yield tables.of_rows("voc", TITLES["voc"], more["voc"], last_is_mean=True)
    yield tables.whole(report)


def _measured(report: Report, facts: Facts) -> list[tuple[str, str]]:
    """What was measured, line by line."""
    given = ", ".join(f"{name} {value}" for name, value in facts.parameters.items() if value not in ("", [], {}, None))
    counted = "the highest score decides" if report.counted_from is None else f"a score of {report.counted_from:g}"
    scored = report.task in ("classification", "detection")
    rows = {
        "Model": facts.model,
        "Type": facts.type,
        "Template": facts.template,
        "Dataset": facts.dataset,
        "Dataset version": facts.dataset_version,
        "Split": f"{facts.split}, {facts.images} images, {facts.seen_in_training} of them seen in training",
        "Counts from": counted if scored else "",
        "Time an image": f"{facts.milliseconds:.1f} ms, from file to answer",
        "Parameters": given,
        "Code": facts.revision,
        "Measured": facts.created,
    }
    return [(name, value) for name, value in rows.items() if value]


def bokeh_script() -> Markup:
    """Bokeh's script, without the addresses that it would fetch from: of a map of itself, of fonts, formulas and maps.

    None of them is for anything on these pages, and a page that cannot ask the network needs no trust.
    """
    import bokeh

    text = (Path(bokeh.__file__).parent / "server/static/js/bokeh.min.js").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^//# sourceMappingURL=.*$", "", text)
    return Markup(ELSEWHERE.sub("", text).replace("</script", "<\\/script"))
