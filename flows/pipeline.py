"""One product's night: bring the data in, train on it, measure, and promote the model if it is better."""

from prefect import flow, tags

from flows.ingest import ingest
from flows.train import held_out
from tasks.app import read_app
from tasks.evaluate import evaluate
from tasks.plan import pin
from tasks.promote import Promotion, promote
from tasks.register import register
from tasks.train import plan_training, train


@flow(flow_run_name="pipeline {app}")
def pipeline(app: str) -> Promotion:
    """Bring the data in, train on it, measure, and promote the model if it is better.

    app: its name, or the path of its file.
    """
    product = read_app(app)
    with tags(product.name):
        ingest(product.source, product.dataset, product.format, product.split, product.tolerance)
        dataset = pin(product.dataset)
        plan = plan_training(dataset, product.parameters(), product.model, product.name)
        checkpoint = train(plan)
        candidate = register(plan, checkpoint)
        evaluation = evaluate(candidate, dataset, held_out(plan))
        return promote(candidate, evaluation, dataset, product.gate)
