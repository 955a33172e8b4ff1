"""Try values of parameters, then train with the best ones, register that model and measure it."""

from typing import Any

from prefect import flow
from pydantic import BaseModel

from flows.train import fitted, held_out
from models.parameters import parameters
from tasks.evaluate import Evaluation, evaluate
from tasks.plan import pin
from tasks.search import Search
from tasks.sweep import Swept
from tasks.sweep import sweep as search_best
from tasks.train import plan_training


class Outcome(BaseModel):
    """What came of a sweep, and of the training with its best values."""

    sweep: Swept
    evaluation: Evaluation


@flow(flow_run_name="sweep on {dataset}")
def sweep(dataset: str, given: dict[str, Any], search: Search, name: str = "") -> Outcome:
    """Try values of parameters, then train with the best ones, register that model and measure it.

    given: parameters of the training, `template` and whatever is not the template's own.
    """
    pinned = pin(dataset)
    found = search_best(plan_training(pinned, parameters(given), name), given, search)
    plan = plan_training(pinned, parameters(given | found.best), name)
    version, _ = fitted(plan)
    return Outcome(sweep=found, evaluation=evaluate(version, plan.dataset, held_out(plan)))
