"""Say which labels of a dataset are most likely wrong or missing, by what a registered model says of its images."""

from prefect import flow

from tasks.label_issues import LabelIssues, find_label_issues
from tasks.plan import pin
from tasks.registry import resolve


@flow(flow_run_name="label issues of {dataset} by {model}")
def label_issues(dataset: str, model: str, split: str = "", limit: int = 100, output: str = "") -> LabelIssues:
    """List the labels of a dataset that are most likely wrong or missing, by what a registered model says of it.

    split: some, with `+` between, as in train+val; empty means all. limit: so many are listed.
    """
    return find_label_issues(resolve(model), pin(dataset), split, limit, output)
