"""The verb label-issues: what of a dataset is most likely mislabelled or missed, as CSV and as sheets of pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from models.runtime.card import Card
from models.runtime.faults import Fault, listed, short
from models.runtime.images import decode
from tasks.artifacts import card, trained_on
from tasks.data.annotations import SPLITS, Annotation, Box
from tasks.data.dataset import Dataset
from tasks.data.loading import entries
from tasks.data.narrowing import as_learned
from tasks.files import as_csv, write
from tasks.kept import answered
from tasks.kinds import KINDS
from tasks.metrics.label_issues import LabelIssue, label_issues
from tasks.page import show, show_table
from tasks.plan import PinnedDataset
from tasks.registry import Version
from tasks.sheets import GAP, LETTERS, captioned, fitted, sheet, written
from tasks.style import INK
from tasks.workspace import root, state
from tasks.worst import MISSED, RIGHT, WHOLE, WRONG, dashed, legend, tag

A_SHEET = 12  # pictures
AROUND = 5  # a box is shown with what is around it alone, where the picture is more than so many times as large
NAME = "label_issues"
OURS = re.compile(rf"{NAME}(_\d+)?\.jpg")  # sheets
HOLDABLE = ("classification", "detection")  # reports of models that say what a label could say
COLUMNS = (
    *("rank", "image", "split", "kind", "given", "suggested", "suspicion", "score"),
    *("box", "suggested box", "seen in training"),
)


class LabelIssues(BaseModel):
    """What is most likely labelled wrongly in some splits of a dataset, and where it can be looked at.

    images: that were looked through, `seen_in_training` of them in the version's train or val split.
    found: how many issues there are, by kind.  rows: the most suspicious of them, under COLUMNS; boxes as
    x0,y0,x1,y1 in pixels, empty where there is none.  folder: with `label_issues.csv`, of the same rows, and `sheets`.
    unjudged: labels of concepts that the model does not know.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    dataset: str
    dataset_version: str
    split: str
    images: int
    seen_in_training: int
    found: dict[str, int]
    unjudged: int
    rows: list[dict[str, Any]]
    folder: str
    sheets: list[str]


@task(cache_policy=NO_CACHE, task_run_name="label issues of {dataset.name} by {version}")
def find_label_issues(
    version: Version, dataset: PinnedDataset, split: str = "", limit: int = 100, output: str = ""
) -> LabelIssues:
    """What a version finds suspicious in the labels of a dataset, written as CSV and sheets of pictures.

    split: some, with `+` between; empty: all that have images.  limit: so many issues are listed, the most suspicious.
    output: a folder; empty: `.sightline/label-issues/<dataset>-<model>-<number>`. An earlier list there is replaced.
    Raises Fault when the model says nothing of labels or of this dataset's, and when nothing can be written there.
    """
    if limit < 1:
        raise Fault(f"limit: a number of issues to list is wanted, 1 or more, got {limit}")
    described = _card(version)
    split = "+".join(dict.fromkeys(split.split("+"))) if split else _filled(dataset.open())
    asked = answered(version, dataset, split)
    opened = as_learned(dataset.open(), described.parameters.get("concepts", ()))
    images = entries(opened, split)
    issues = label_issues(images, asked.on(images), described.concepts, described.exclusive)
    seen = trained_on(version)
    rows = [_row(rank, issue, images[issue.index], seen) for rank, issue in enumerate(issues[:limit], 1)]
    folder = Path(output) if output else state() / "label-issues" / f"{dataset.name}-{version.slug}"
    if folder.resolve().is_relative_to((root() / "data").resolve()):
        raise Fault(f"{folder}: is a part of the datasets, whose files are versioned. Name another --output.")
    sheets = _written(opened, images, issues[:limit], rows, folder.resolve())
    labels = "box_concepts" if KINDS[described.type].labels == "detection" else "concepts"
    done = LabelIssues(
        model=str(version),
        dataset=dataset.name,
        dataset_version=dataset.version,
        split=split,
        images=len(images),
        seen_in_training=sum(entry.sha256 in seen for entry in images),
        found=dict(Counter(issue.kind for issue in issues).most_common()),
        unjudged=sum(name not in described.concepts for entry in images for name in getattr(entry, labels)),
        rows=rows,
        folder=str(folder.resolve()),
        sheets=[path.name for path in sheets],
    )
    _show(done, sheets)
    return done


def _card(version: Version) -> Card:
    described = card(version)
    held = [name for name, kind in KINDS.items() if kind.report.task in HOLDABLE]
    if described.type not in held:
        raise Fault(
            f"{version} is of the type {described.type}: it names no concept that a label could be held against. "
            f"Name a model of one of these types: {listed(held)}. `sightline model list` has what there is."
        )
    return described


def _filled(dataset: Dataset) -> str:
    """The splits that have images, with `+` between. Raises Fault where there is no image at all."""
    filled = [split for split in SPLITS if dataset.split(split)]
    if not filled:
        raise Fault(f"dataset {dataset.name}: it has no image, there is no label to look at. Ingest some first.")
    return "+".join(filled)


def _row(rank: int, issue: LabelIssue, entry: Annotation, seen: frozenset[str]) -> dict[str, Any]:
    cells = (issue.kind, issue.given, issue.suggested, round(issue.suspicion, 4), round(issue.score, 4))
    boxes = (_corners(issue.box), _corners(issue.suggested_box))
    known = "yes" if entry.sha256 in seen else "no"
    return dict(zip(COLUMNS, (rank, entry.image, entry.split, *cells, *boxes, known), strict=True))


def _corners(box: Box | None) -> str:
    return ",".join(f"{round(side, 1):.12g}" for side in box or ())


def _written(
    dataset: Dataset,
    images: Sequence[Annotation],
    issues: Sequence[LabelIssue],
    rows: list[dict[str, Any]],
    folder: Path,
) -> list[Path]:
    """The list and its sheets, in the place of an earlier one's. Returns the sheets."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{NAME}*.jpg"):
            if OURS.fullmatch(left.name):
                left.unlink()
        write(folder / f"{NAME}.csv", as_csv(rows) if rows else ",".join(COLUMNS) + "\n")
        sheets = []
        for start in range(0, len(issues), A_SHEET):
            number = start // A_SHEET + 1
            drawn = _sheet(dataset, images, issues[start : start + A_SHEET], start + 1)
            sheets.append(written(drawn, folder / (f"{NAME}_{number}.jpg" if number > 1 else f"{NAME}.jpg")))
    except OSError as error:
        why = error.strerror or error
        raise Fault(f"{short(str(folder))}: the list cannot be written there ({why}). Name another --output.") from None
    return sheets


def _sheet(dataset: Dataset, images: Sequence[Annotation], issues: Sequence[LabelIssue], first: int) -> Image.Image:
    """Issues side by side, numbered from `first` on."""
    boxed = dataset.task == "detection"
    width, columns = WHOLE
    cells = []
    for rank, issue in enumerate(issues, first):
        entry = images[issue.index]
        picture = _drawn(dataset, entry, issue, width) if boxed else fitted(dataset, entry, width)[0]
        title, image = f"{rank}. {issue.kind} ({issue.suspicion:.2f})", f"{Path(entry.image).name} ({entry.split})"
        given = f"labelled {short(issue.given, 28)}" if issue.given else "no label"
        other = f"suggested {short(issue.suggested, 22)} {issue.score:.2f}" if issue.suggested else "suggested nothing"
        cells.append(captioned(picture, width, title, given, other, image))
    drawn = sheet(cells, columns, 2 * GAP + LETTERS if boxed else GAP)
    if boxed:
        legend(ImageDraw.Draw(drawn), (("suggested", WRONG), ("labelled", MISSED), ("other labels", RIGHT)))
    return drawn


def _drawn(dataset: Dataset, entry: Annotation, issue: LabelIssue, width: int) -> Image.Image:
    """The place of an issue: its labelled box dashed, the suggested one in orange, other labels thin."""
    picture = decode(dataset.path(entry))
    x, y, x1, y1 = _window(issue, picture.size)
    times = width / max(x1 - x, y1 - y)
    size = (max(1, round((x1 - x) * times)), max(1, round((y1 - y) * times)))
    picture = picture.resize(size, Image.Resampling.LANCZOS, (x, y, x1, y1))
    pen = ImageDraw.Draw(picture)

    def placed(box: Box) -> list[float]:
        return [(side - start) * times for side, start in zip(box, (x, y, x, y), strict=True)]

    for other in entry.boxes:
        if other != issue.box:
            pen.rectangle(placed(other), outline=RIGHT, width=1)
    if issue.box:
        dashed(pen, placed(issue.box))
    if issue.suggested_box:
        pen.rectangle(placed(issue.suggested_box), outline=WRONG, width=2)
    if issue.box:
        left, _, _, below = placed(issue.box)
        tag(pen, (left, below), short(issue.given, 16), MISSED, INK, picture.size)
    if issue.suggested_box:
        left, above, _, _ = placed(issue.suggested_box)
        text = f"{short(issue.suggested, 16)} {issue.score:.2f}"
        tag(pen, (left, above - LETTERS - 3), text, WRONG, "white", picture.size)
    return picture


def _window(issue: LabelIssue, size: tuple[int, int]) -> Box:
    """The part of a picture that shows an issue's boxes: all of it, or where they are small, what is around them."""
    boxes = [box for box in (issue.box, issue.suggested_box) if box]
    low = [min(box[axis] for box in boxes) for axis in (0, 1)]
    high = [max(box[axis + 2] for box in boxes) for axis in (0, 1)]
    side = AROUND * max(high[0] - low[0], high[1] - low[1])
    lengths = [min(float(length), side) for length in size]
    starts = [
        min(max(0.0, (low[axis] + high[axis] - lengths[axis]) / 2), size[axis] - lengths[axis]) for axis in (0, 1)
    ]
    return (starts[0], starts[1], starts[0] + lengths[0], starts[1] + lengths[1])


def _show(done: LabelIssues, sheets: Sequence[Path]) -> None:
    """The first sheet and the table on the run's page."""
    text = f"# {done.dataset} {done.split} by {done.model}\n\n{sentence(done)}\n\nFiles: {done.folder}"
    name, what = f"{done.dataset}-{done.model}", f"Label issues of {done.dataset} by {done.model}"
    show(text, f"label-issues-{name}", what, sheets[:1])
    show_table(done.rows, f"label-issue-rows-{name}", what)


def sentence(done: LabelIssues) -> str:
    """What was found, in words."""
    total, images = sum(done.found.values()), f"the labels of {done.images} images"
    if total:
        lines = [
            f"{total} suspicious in {images}: " + ", ".join(f"{count} {kind}" for kind, count in done.found.items())
        ]
    else:
        lines = [f"nothing suspicious in {images}"]
    if len(done.rows) < total:
        lines.append(f"listed: the {len(done.rows)} most suspicious")
    if done.seen_in_training:
        lines.append(f"{done.seen_in_training} images were seen in training: of these fewer issues show")
    if done.unjudged:
        lines.append(f"{done.unjudged} labels are of concepts that the model does not know: not looked at")
    return "\n".join(lines)
