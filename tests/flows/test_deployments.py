"""From `sightline up` to a pipeline that a worker ran: the real servers, in a workspace of their own."""

import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from PIL import Image

from models.catalog import TYPES
from tasks import deployments, launch
from tasks.processes import bearing, end_all

CODE = Path(__file__).resolve().parents[2]
USUAL = ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI", "SIGHTLINE_PREFECT_API")
ENDS = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# Flows that commands alone start.
BY_COMMAND = {"flows.folds.folds", "flows.label_issues.label_issues", "flows.rebuild.rebuild", "flows.sweep.sweep"}
SMALL = "  template: resnet18\n  image_size: 32\n  epochs: 1\n  batch_size: 8\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A workspace with 40 pictures of two shades and an app for them; what is left running is ended."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(CODE / "prefect.yaml", root)
    shutil.copytree(CODE / "apps", root / "apps")
    noise = random.Random(0)
    for concept, shade in (("dark", 20), ("light", 220)):
        (root / "photos" / concept).mkdir(parents=True)
        for i in range(20):
            colour = (shade, shade, shade + noise.randrange(30))
            Image.new("RGB", (40 + i, 40), colour).save(root / "photos" / concept / f"{i}.png")
    sightline(root, "app", "create", "shades", "--source", "photos", "--template", "resnet18")
    app = root / "apps" / "shades.yaml"
    app.write_text(app.read_text().replace("  template: resnet18\n", SMALL).replace('"0 2 * * *"', '"15 4 * * *"'))
    yield root
    servers = root / ".sightline" / "servers.json"
    if servers.exists():
        end_all(json.loads(servers.read_text())["token"])


@pytest.fixture(scope="module")
def servers(project):
    """What `sightline up` answers."""
    return sightline(project, "up")


def sightline(root: Path, *command: str) -> dict:
    """The one JSON object that a command prints."""
    environment = {name: value for name, value in os.environ.items() if name not in USUAL}
    environment |= {"SIGHTLINE_ROOT": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "flows", *command, "--json"], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(url: str, content: dict | None = None):
    """What a server answers, also one that is busy at first: Prefect says 503 then, and its own client asks again."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                raise
            time.sleep(1)


def wait_for(true, seconds: float):
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)
    return found


def test_each_flow_has_a_deployment():
    entries = yaml.safe_load((CODE / "prefect.yaml").read_text())["deployments"]
    flows = {
        f"flows.{path.stem}.{node.name}"
        for path in (CODE / "flows").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(mark).split("(")[0] == "flow" for mark in node.decorator_list)
    }
    assert {entry["entrypoint"] for entry in entries} == flows - BY_COMMAND


def test_up_answers_when_both_servers_do_and_all_is_deployed(project, servers):
    assert servers["started"] is True
    assert (servers["deployments"], servers["notes"]) == ("ready", ["shades runs at 15 4 * * * now"])
    assert servers["prefect_api"].startswith("http://127.0.0.1:")
    assert ask(servers["prefect_api"] + "/health") is True
    found = ask(servers["mlflow_ui"] + "/api/2.0/mlflow/experiments/search?max_results=1")
    artifacts = (project / ".sightline" / "mlartifacts" / "0").as_uri()
    assert found["experiments"][0]["artifact_location"] == artifacts


def test_up_a_second_time_changes_nothing(project, servers):
    again = sightline(project, "up")
    assert (again["started"], again["deployments"], again["notes"]) == (False, "ready", [])
    assert again["pids"]["prefect"] == servers["pids"]["prefect"]


def test_pages_may_call_no_other_machine(servers):
    for page in (servers["prefect_ui"], servers["mlflow_ui"]):
        with urllib.request.urlopen(page, timeout=30) as response:
            policy = response.headers["Content-Security-Policy"].split()
        hosts = [source for source in policy if "//" in source]
        assert hosts and all(host.split("//")[1] in ("127.0.0.1:*", "localhost:*") for host in hosts)


def test_everything_is_deployed_and_an_apps_night_is_scheduled(project, servers):
    found = {entry["name"]: entry for entry in ask(servers["prefect_api"] + "/deployments/filter", {})}
    training = {f"train-{type}" for type in TYPES}
    nights = {"pipeline-listings", "pipeline-roofs", "pipeline-shades"}
    others = {"ingest", "evaluate", "compare", "predict", "workflow", "register-workflow", "index", "demo"}
    assert set(found) == training | nights | others
    schedule = found["pipeline-shades"]["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("15 4 * * *", "UTC")
    assert found["pipeline-shades"]["tags"] == ["shades"]
    assert found["ingest"]["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"] == str(
        project
    )


def test_nights_are_planned_ahead(servers):
    planned = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    api = servers["prefect_api"] + "/flow_runs/filter"
    runs = wait_for(lambda: (found := ask(api, planned)) and len(found) >= 9 and found, 90)
    assert {run["expected_start_time"][11:16] for run in runs} == {"02:00", "04:15"}


def test_the_form_for_training_has_help_and_ranges(servers):
    found = {entry["name"]: entry for entry in ask(servers["prefect_api"] + "/deployments/filter", {})}
    schema = found["train-visual-detector"]["parameter_openapi_schema"]
    fields = schema["definitions"]["DetectorParameters"]["properties"]
    assert fields["epochs"]["description"]
    assert (fields["epochs"]["minimum"], fields["epochs"]["maximum"]) == (1, 1000)
    assert schema["required"] == ["dataset", "parameters"]


@pytest.fixture(scope="module")
def night(servers):
    """A run of an app's pipeline that the worker took, as it ended."""
    api = servers["prefect_api"]
    deployment = ask(f"{api}/deployments/name/pipeline/pipeline-shades")
    run = ask(f"{api}/deployments/{deployment['id']}/create_flow_run", {})
    return wait_for(lambda: (now := ask(f"{api}/flow_runs/{run['id']}"))["state_type"] in ENDS and now, 240)


def test_a_worker_runs_the_pipeline_of_an_app(servers, night):
    api = servers["prefect_api"]
    assert night["state_type"] == "COMPLETED", night["state"]
    named = {"flow_runs": {"id": {"any_": [night["id"]]}}}
    kinds = {entry["key"].split("-shades")[0] for entry in ask(f"{api}/artifacts/filter", named)}
    assert {"training", "evaluation", "concepts", "promotion"} <= kinds
    registered = ask(servers["mlflow_ui"] + "/api/2.0/mlflow/registered-models/get?name=shades-classifier")
    assert {"alias": "champion", "version": "1"} in registered["registered_model"]["aliases"]


def test_runs_and_their_logs_can_be_looked_at(project, night):
    newest = sightline(project, "run", "status")["runs"]  # what is planned is not among them
    found = next(run for run in newest if run["flow"] == "pipeline")
    assert (found["id"], found["name"]) == (night["id"], "pipeline shades")
    assert (found["state"], found["tags"]) == ("Completed", ["shades"])
    lines = sightline(project, "run", "logs", "pipeline shades")["lines"]
    assert any("register shades-classifier: registered shades-classifier/1" in line for line in lines)
    assert any("train shades-classifier: epoch 1 of" in line for line in lines)
    assert any(": check: " in line or " check: " in line for line in lines)  # of the ingest that it called
    assert lines[-1].startswith("pipeline shades is Completed")


def test_a_night_that_is_withdrawn_is_gone(prefect_server):
    flow = ask(f"{prefect_server}/flows/", {"name": "pipeline"})["id"]
    for app in ("gone", "kept"):
        ask(f"{prefect_server}/deployments/", {"name": f"pipeline-{app}", "flow_id": flow})
    deployments._withdraw({"gone", "never deployed"})
    left = {
        entry["name"] for entry in ask(f"{prefect_server}/deployments/filter", {})
    }  # other tests' may be among them
    assert {name for name in left if name.startswith("pipeline-")} == {"pipeline-kept"}


def test_nothing_is_left_when_the_supervisor_is_killed(project, servers):
    token = json.loads((project / ".sightline" / "servers.json").read_text())["token"]
    assert len(bearing(token)) >= 5  # supervisor, sentinel, Prefect, MLflow, worker
    os.kill(servers["supervisor"], signal.SIGKILL)
    wait_for(lambda: not bearing(token), 20)
    assert sightline(project, "down") == {"stopped": []}
    assert not launch.supervised()
