"""One product's night: bring the data in, train on it, measure, and promote the model if it is better."""

from prefect import flow, tags
from pydantic import BaseModel

from flows.ingest import ingest
from flows.train import fitted, held_out
from tasks.app import App, read_app
from tasks.evaluate import Evaluation, evaluate
from tasks.plan import pin
from tasks.promote import Promotion, promote
from tasks.train import plan_training


class Outcome(BaseModel):
    """What came of a product's night."""

    trained: bool
    evaluation: Evaluation
    promotion: Promotion


@flow(flow_run_name="pipeline {app}")
def pipeline(app: str, min_improvement: float | None = None) -> Outcome:
    """Bring the data in, train on it, measure, and promote the model if it is better.

    app: its name, or the path of its file.
    min_improvement: by how much it must be better, 0 to 1, in place of the app's gate. Empty: as that says.
    """
    product = read_app(app).with_gate(min_improvement)
    ingest(product.place, product.dataset, product.format, product.split, product.tolerance)
    return improve(product)


def improve(product: App) -> Outcome:
    """Train on a product's dataset as it is, measure, and promote the model if it is better."""
    with tags(product.name):
        dataset = pin(product.dataset)
        plan = plan_training(dataset, product.parameters(), product.model, product.name)
        candidate, trained = fitted(plan)
        evaluation = evaluate(candidate, dataset, held_out(plan))
        promotion = promote(candidate, evaluation, dataset, product.gate)
    return Outcome(trained=trained, evaluation=evaluation, promotion=promotion)
