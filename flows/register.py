"""Put a workflow into the registry as one model."""

from __future__ import annotations

from prefect import flow

from tasks.register_workflow import register_workflow as register
from tasks.registry import Version
from tasks.workflows import from_file


@flow(flow_run_name="register {file}")
def register_workflow(file: str, name: str = "", alias: str = "champion", models: str = "") -> Version:
    """Pin a workflow's models to versions and register the whole as one model that plain MLflow can load.

    file: a workflow's file, or its name under workflows/.
    name: under which it is registered; empty means the workflow's own.
    alias: that the version gets.
    models: for a hosted platform's workflow, a YAML file with `their-model-id: our-model@champion` a line.
    """
    return register(from_file(file, name, models), alias)
