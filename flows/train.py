"""Train a model on a dataset, register it and measure it on images held out."""

from prefect import flow

from models.parameters import ClassifierParameters, DetectorParameters
from tasks.distributed import Machines
from tasks.evaluate import Evaluation, evaluate
from tasks.plan import TrainingPlan, pin
from tasks.register import register
from tasks.registry import Version
from tasks.train import ALONE, alone, plan_training, train


@flow(name="train-visual-classifier", flow_run_name="train a classifier on {dataset}")
def train_classifier(dataset: str, parameters: ClassifierParameters, name: str = "") -> Evaluation:
    """Train a visual classifier on a dataset, register it, and measure it on the images held out."""
    return _trained(plan_training(pin(dataset), parameters, name))


@flow(name="train-visual-detector", flow_run_name="train a detector on {dataset}")
def train_detector(dataset: str, parameters: DetectorParameters, name: str = "") -> Evaluation:
    """Train a visual detector on a dataset, register it, and measure it on the images held out."""
    return _trained(plan_training(pin(dataset), parameters, name))


BY_TYPE = {"visual-classifier": train_classifier, "visual-detector": train_detector}


def _trained(plan: TrainingPlan) -> Evaluation:
    version, _ = fitted(plan)
    return evaluate(version, plan.dataset, held_out(plan))


def fitted(plan: TrainingPlan, machines: Machines = ALONE) -> tuple[Version, bool]:
    """The registered version of a plan, and whether it had to be trained for that, on so many machines."""
    with alone(plan):
        checkpoint = train(plan, machines)
        return register(plan, checkpoint), not checkpoint.version


def held_out(plan: TrainingPlan) -> str:
    """The split that measures: `test`, or `val` where a dataset has none."""
    return "test" if plan.dataset.open().split("test") else "val"
