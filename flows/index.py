"""Make the pictures of a dataset findable by a picture: embed what is new, and keep it as an index."""

from prefect import flow

from tasks.embeddings import embedder_of
from tasks.plan import pin
from tasks.visual_index import Built, build_index


@flow(flow_run_name="index {dataset} by {model}")
def index(dataset: str, model: str) -> Built:
    """Make the pictures of a dataset findable by a picture, with the vectors of a registered model's version.

    dataset: its name, or a folder it was checked out to.
    model: an embedder or a classifier: name, name@alias or name/number. What it embedded before is not embedded again.
    """
    return build_index(embedder_of(model), pin(dataset))
