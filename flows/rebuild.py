"""Train a registered version again from its own record, and say whether the bytes come out the same."""

from prefect import flow

from tasks import rebuild as verbs
from tasks.registry import resolve


@flow(flow_run_name="rebuild {model}")
def rebuild(model: str) -> verbs.Rebuilt:
    """Train a registered version again from its own record, and say whether the bytes come out the same."""
    return verbs.rebuild(resolve(model))
