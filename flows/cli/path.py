"""The main path's verbs: up, down, ingest, evaluate, compare, predict, pipeline, demo."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from flows.cli.given import a_share, a_split
from flows.cli.output import MODEL, Json, answer, bold, loading, number, run, table
from flows.cli.predicted import Draw, Every, Fps, Hosts, Listed, OfDataset, Output, Paths, Split, inputs_of, story

COUNTED = "Least score that counts; default: the model's own. Unused where concepts exclude each other."
SPLIT = "train, val or test, or several with + between."
WANTED = "For which each concept's threshold is looked up."
SPLITS_HELP = f"{SPLIT[:-1]}; may be given again; default: test."
OVERLAP = "From which overlap (IoU) on a region hits a box, above 0 and at most 1."
IMPROVED = "By how much a new version must be better; default: as the app's gate says."
ANSWERED = "Least score that is answered; default: a detector's own, 0 for a classifier."


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, down, ingest, evaluate, compare, predict, pipeline, demo):
        app.command(epilog=EXAMPLES[command.__name__])(command)


EXAMPLES = {
    "up": "Example: sightline up",
    "down": "Example: sightline down",
    "ingest": "Example: sightline ingest photos/ --dataset roofs",
    "evaluate": "Example: sightline evaluate roofs-detector@champion --split test",
    "compare": "Example: sightline compare roofs-detector/1 roofs-detector/2",
    "predict": "Example: sightline predict roofs-detector@champion new/ 'more/*.jpg' --draw",
    "pipeline": "Example: sightline pipeline roofs",
    "demo": "Example: sightline demo --seed 1",
}


def up(json: Json = False) -> None:
    """Start the Prefect server, the MLflow server and a worker in the background, and deploy every flow."""
    from tasks.servers import up

    servers = up()
    answer(
        servers,
        json,
        f"Prefect  {servers.prefect_ui}\nMLflow   {servers.mlflow_ui}\nStop them: sightline down",
    )


def down(json: Json = False) -> None:
    """Stop what `sightline up` started, and nothing else."""
    from tasks.servers import down

    stopped = down()
    answer({"stopped": stopped}, json, f"stopped: {', '.join(map(str, stopped)) or 'nothing was running'}")


def ingest(
    source: Annotated[str, Argument(help="Folder (or CSV, or COCO JSON) with the labelled pictures.")] = "",
    dataset: Annotated[str, Option(help="What to call it: data/DATASET.")] = "",
    format: Annotated[str, Option(help="auto, folder, voc, coco, yolo or csv.")] = "auto",
    split: Annotated[str, Option(help="train/val/test where the source has none; default 80/10/10.")] = "",
    tolerance: Annotated[str, Option(help="Share that may be left out before the ingest is refused.")] = "5%",
    retry: Annotated[str, Option(help="A rejected.csv: take what was mended since.")] = "",
    forget: Annotated[str, Option(help="Datasets that data.dvc may drop, when their files are nowhere.")] = "",
    json: Json = False,
) -> None:
    """Bring labelled pictures in: checked, split, versioned. What is left out is listed with its reason."""
    if not dataset or not (source or retry):
        raise typer.BadParameter("give a SOURCE and --dataset NAME (or --retry rejected.csv --dataset NAME)")
    tolerated = share(tolerance)
    loading()
    from flows.ingest import ingest as flow

    done = run(flow, source, dataset, format, split, tolerated, retry, forget)
    answer(done, json, done.sentence())


def share(given: str) -> float:
    """`5%` or `0.05` as a fraction."""
    try:
        value = float(given.rstrip("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{given!r} is no share: write 5% or 0.05", param_hint="--tolerance")
    return value


def evaluate(
    model: Annotated[str, Argument(help=MODEL)],
    dataset: Annotated[str, Option(help="Default: the one it was trained on.")] = "",
    split: Annotated[str, Option(parser=a_split, metavar="SPLIT", help=SPLIT)] = "test",
    threshold: Annotated[float | None, Option(min=0, max=1, help=COUNTED)] = None,
    iou: Annotated[float, Option(parser=a_share, metavar="SHARE", help=OVERLAP)] = 0.5,
    precision: Annotated[float, Option(parser=a_share, metavar="SHARE", help=WANTED)] = 0.95,
    json: Json = False,
) -> None:
    """Measure a registered model on one split: numbers, tables, curves."""
    loading()
    from flows.evaluate import evaluate as flow

    done = run(flow, model, dataset, split, threshold, precision, iou)
    answer(done, json, told(done))


def told(done) -> str:
    """An evaluation for a person to read."""
    from tasks.html.facts import not_held_out

    at = "" if done.threshold is None else f", threshold {done.threshold:.2f}"
    lines = [f"{done.model} on {done.dataset} {done.split} ({done.images} images{at})"]
    if done.measured_before:
        lines.append("measured before: model, data, threshold and what measures are the same")
    if done.seen_in_training:
        lines.append(bold(not_held_out(done.seen_in_training, done.images)))
    lines += numbers(done.metrics, done.headline)
    rows = table([shortened(row) for row in done.per_concept])
    return "\n".join([*lines, "", rows, "", f"report: {done.report}/report.html"])


def numbers(metrics: dict[str, float], headline: str) -> list[str]:
    """A line for each metric: its name in files, its value, and what it is; the headline first, with its interval."""
    from tasks.report import SAID

    lines = []
    for name in sorted((name for name in metrics if name in SAID), key=lambda name: name != headline):
        bounds = [metrics.get(f"{name}_{end}") for end in ("low", "high")]
        interval = "" if None in bounds else f"(95 % interval {bounds[0]:.4f} to {bounds[1]:.4f})"
        said = "" if SAID[name].lower() == name.replace("_", " ") else SAID[name]
        lines.append("  ".join(filter(None, (f"  {name:<28}{number(name, metrics[name]):>8}", said, interval))))
    return lines


def shortened(row: dict) -> dict:
    """A concept's row under headings that fit a terminal; what is predicted is TP + FP."""
    from tasks.report import SHORT

    return {SHORT.get(key, key): value for key, value in row.items() if key != "Total Predicted"}


def compare(
    models: Annotated[list[str], Argument(help=f"{MODEL[:-1]}; or ./folder with a version's files.")],
    dataset: Annotated[list[str] | None, Option(help="May be given again; default: the first model's.")] = None,
    split: Annotated[list[str] | None, Option(parser=a_split, metavar="SPLIT", help=SPLITS_HELP)] = None,
    threshold: Annotated[float | None, Option(min=0, max=1, help=COUNTED)] = None,
    iou: Annotated[float, Option(parser=a_share, metavar="SHARE", help=OVERLAP)] = 0.5,
    json: Json = False,
) -> None:
    """Set models side by side on the same images, or one on several datasets, and say which is better."""
    if len(models) * max(1, len(dataset or ())) * max(1, len(split or ())) < 2:
        raise typer.BadParameter(
            f"{models[0]} on one dataset alone cannot be compared: name another model, dataset or split",
            param_hint="MODELS",
        )
    loading()
    from flows.compare import compare as flow

    done = run(flow, models, dataset, split, threshold, iou)
    sentences = [bold(text.strip("*")) if text.startswith("**") else text for text in done.sentences]
    rows = table([shortened(row) for row in done.totals])
    answer(done, json, "\n".join([rows, "", *sentences, "", f"report: {done.folder}/comparison.html"]))


def predict(
    model: Annotated[str, Argument(help=MODEL)],
    paths: Paths = None,
    threshold: Annotated[float | None, Option(min=0, max=1, help=ANSWERED)] = None,
    output: Output = "",
    draw: Draw = False,
    list: Listed = "",
    dataset: OfDataset = "",
    split: Split = None,
    allow_host: Hosts = None,
    fps: Fps = None,
    every: Every = 1,
    json: Json = False,
) -> None:
    """Answer for new pictures and videos: JSON Lines, Parquet and, with --draw, pictures and videos."""
    given = inputs_of(paths, list, dataset, split or "", allow_host, fps, every)
    loading()
    from flows.predict import predict as flow

    done = run(flow, model, [], threshold, output, draw, given)
    answer(done, json, story(done))
    if not done["images"]:
        raise typer.Exit(1)


def pipeline(
    app: Annotated[str, Argument(help="An app's name, or its file.")],
    min_improvement: Annotated[float | None, Option(min=0, max=1, help=IMPROVED)] = None,
    json: Json = False,
) -> None:
    """One product's night: ingest, train, measure, and promote the model if it is better."""
    loading()
    from flows.pipeline import pipeline as flow

    done = run(flow, app, min_improvement)
    answer(done, json, f"{told(done.evaluation)}\n\n{done.promotion.why}")


def demo(
    seed: Annotated[int, Option(min=0, help="Changes every picture, split and weight.")] = 0,
    json: Json = False,
) -> None:
    """The whole path on handwritten digits: compose, ingest, train, measure, promote, predict."""
    loading()
    from flows.demo import demo as flow

    summary = run(flow, seed)
    answer(summary, json, summary.pop("story"))
