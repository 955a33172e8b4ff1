"""Cross-validate a training: mean and spread of its numbers over parts held out in turn. Registers nothing."""

from typing import Any

from prefect import flow

from models.parameters import parameters
from tasks.folds import CrossValidation, cross_validate
from tasks.plan import pin
from tasks.train import plan_training


@flow(flow_run_name="{folds} folds of {dataset}")
def folds(dataset: str, given: dict[str, Any], folds: int = 5, name: str = "") -> CrossValidation:
    """Cross-validate a training: mean and spread of its numbers over parts held out in turn. Registers nothing.

    given: parameters of the training, `template` and whatever is not the template's own.
    """
    return cross_validate(plan_training(pin(dataset), parameters(given), name), folds)
