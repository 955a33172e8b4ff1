"""Train a model on a dataset, register it and measure it on images held out."""

from prefect import flow

from models.embedding_parameters import ClustererParameters, EmbeddingClassifierParameters
from models.parameters import ClassifierParameters, DetectorParameters, EmbedderParameters
from tasks.distributed import Machines
from tasks.evaluate import Evaluation, evaluate
from tasks.plan import TrainingPlan, pin
from tasks.register import register
from tasks.registry import Version
from tasks.train import ALONE, alone, plan_training, train


@flow(name="train-visual-classifier", flow_run_name="train a classifier on {dataset}")
def train_classifier(
    dataset: str, parameters: ClassifierParameters, name: str = "", devices: int = 1, nodes: int = 1, meet: str = ""
) -> Evaluation:
    """Train a visual classifier on a dataset, register it, and measure it on the images held out."""
    return _trained(plan_training(pin(dataset), parameters, name), Machines(devices, nodes, meet))


@flow(name="train-visual-detector", flow_run_name="train a detector on {dataset}")
def train_detector(
    dataset: str, parameters: DetectorParameters, name: str = "", devices: int = 1, nodes: int = 1, meet: str = ""
) -> Evaluation:
    """Train a visual detector on a dataset, register it, and measure it on the images held out."""
    return _trained(plan_training(pin(dataset), parameters, name), Machines(devices, nodes, meet))


@flow(name="train-visual-embedder", flow_run_name="train an embedder on {dataset}")
def train_embedder(
    dataset: str, parameters: EmbedderParameters, name: str = "", devices: int = 1, nodes: int = 1, meet: str = ""
) -> Evaluation:
    """Train a visual embedder on a dataset, register it, and measure it on the images held out."""
    return _trained(plan_training(pin(dataset), parameters, name), Machines(devices, nodes, meet))


@flow(name="train-embedding-classifier", flow_run_name="train an embedding-classifier on {dataset}")
def train_embedding_classifier(dataset: str, parameters: EmbeddingClassifierParameters, name: str = "") -> Evaluation:
    """Train a classifier on another model's embeddings, register it, and measure it on the images held out."""
    return _trained(plan_training(pin(dataset), parameters, name))


@flow(name="train-clusterer", flow_run_name="cluster {dataset}")
def train_clusterer(dataset: str, parameters: ClustererParameters, name: str = "") -> Evaluation:
    """Group a dataset's pictures by another model's embeddings, register the groups, and measure them on others."""
    return _trained(plan_training(pin(dataset), parameters, name))


BY_TYPE = {
    "visual-classifier": train_classifier,
    "visual-detector": train_detector,
    "visual-embedder": train_embedder,
    "embedding-classifier": train_embedding_classifier,
    "clusterer": train_clusterer,
}


def _trained(plan: TrainingPlan, machines: Machines = ALONE) -> Evaluation:
    version, _ = fitted(plan, machines)
    return evaluate(version, plan.dataset, held_out(plan))


def fitted(plan: TrainingPlan, machines: Machines = ALONE) -> tuple[Version, bool]:
    """The registered version of a plan, and whether it had to be trained for that, on so many machines."""
    with alone(plan):
        checkpoint = train(plan, machines)
        return register(plan, checkpoint), not checkpoint.version


def held_out(plan: TrainingPlan) -> str:
    """The split that measures: `test`, or `val` where a dataset has none."""
    return "test" if plan.opened().split("test") else "val"
