"""The whole path on an embedded default: handwritten digits, alone and in scenes."""

import time
from typing import Any

from prefect import flow

from flows.ingest import ingest
from flows.pipeline import improve
from flows.predict import predict
from tasks.app import read_app
from tasks.demo import compose, scenes, tell
from tasks.evaluate import evaluate
from tasks.plan import pin
from tasks.registry import resolve

APPS = ("roofs", "listings")


@flow(flow_run_name="demo, seed {seed}")
def demo(seed: int = 0) -> dict[str, Any]:
    """Compose pictures of digits, then the main path twice: a detector in scenes, a classifier of single digits."""
    began = time.monotonic()
    compose(seed)
    products = {name: seeded(read_app(name), seed) for name in APPS}
    forget = ",".join(product.dataset for product in products.values())
    for product in products.values():
        ingest(product.place, product.dataset, product.format, product.split, product.tolerance, forget=forget)
    outcomes = {name: improve(product) for name, product in products.items()}
    trains = {
        name: evaluate(resolve(outcome.evaluation.model), pin(products[name].dataset), "train")
        for name, outcome in outcomes.items()
    }
    predicted = predict(outcomes["roofs"].evaluation.model, scenes(), draw=True)
    return tell(
        time.monotonic() - began,
        {name: outcome.promotion for name, outcome in outcomes.items()},
        {name: outcome.evaluation for name, outcome in outcomes.items()},
        trains,
        any(outcome.trained for outcome in outcomes.values()),
        predicted,
    )


def seeded(product, seed: int):
    """The app as its file says, with another seed for the training."""
    return product.model_copy(update={"training": product.training | {"seed": seed}})
