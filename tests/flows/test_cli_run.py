"""`sightline run`: what flows did, and which run is meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run
from prefect.states import Crashed, Running

from flows.cli import main
from models.runtime.faults import Fault
from tasks.files import write
from tasks.progress import PROGRESS
from tasks.runs import reason
from tasks.servers import OURS

CODE = Path(__file__).resolve().parents[2]
SLEEPS = """
import time
from prefect import flow
from flows.cli.output import run

@flow(name="train-sleeper", flow_run_name="a sleeper")
def sleeper():
    print("asleep", flush=True)
    for _ in range(600):
        time.sleep(0.1)

run(sleeper)
"""


@pytest.fixture
def said(capsys, monkeypatch, prefect_server) -> Callable[..., str]:
    """What a command that works prints."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["sightline", "run", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main()
        found = capsys.readouterr()
        assert not done.value.code, found.err
        return found.out

    return call


@flow(flow_run_name="the part")
def part() -> None:
    get_run_logger().info("said by the part")


@flow(flow_run_name="the whole")
def whole() -> None:
    get_run_logger().info("said by the whole")
    part()


@pytest.fixture
def ran() -> None:
    whole()
    APILogWorker.drain_all(timeout=5)


def test_the_newest_run_is_one_that_no_other_called_and_its_log_has_what_it_called(said, ran):
    lines = said("logs").splitlines()
    assert lines[-1] == "the whole is Completed"
    assert [line.split(" ", 2)[2].strip() for line in lines if "said by" in line] == [
        "the whole: said by the whole",
        "the part: said by the part",
    ]


def test_a_run_is_found_by_its_name_and_by_the_start_of_its_id(said, ran):
    rows = json.loads(said("status", "--json"))["runs"]
    inner = next(row for row in rows if row["name"] == "the part")
    for meant in ("the part", inner["id"], inner["id"][:8]):
        lines = said("logs", meant).splitlines()
        assert lines[-1] == "the part is Completed"
        assert not any("said by the whole" in line for line in lines)


def test_the_status_is_the_newest_first_with_their_states(said, ran):
    rows = json.loads(said("status", "--limit", "2", "--json"))["runs"]
    assert [(row["name"], row["flow"], row["state"]) for row in rows] == [
        ("the part", "part", "Completed"),
        ("the whole", "whole", "Completed"),
    ]
    assert "the whole" in said("status")


@flow(flow_run_name="the broken")
def broken() -> None:
    raise Fault("dataset roofs: cannot train roofs: its val split is empty.\nAnd more.")


def test_a_failed_run_says_why_in_one_line(said):
    with pytest.raises(Fault):
        broken()
    row = json.loads(said("status", "--limit", "1", "--json"))["runs"][0]
    assert (row["status"], row["reason"]) == ("failed", "dataset roofs: cannot train roofs: its val split is empty.")
    assert "its val split is empty" in said("status")
    assert "reason   dataset roofs: cannot train roofs: its val split is empty." in said("status", "the broken")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Flow run encountered an exception: Fault: no data", "no data"),
        ("Flow run encountered an exception: OSError: [Errno 28] No space left", "[Errno 28] No space left"),
        ("Its process was stopped or killed. Run it again.", "Its process was stopped or killed. Run it again."),
        (
            "Validation of flow parameters failed with error: ParameterTypeError: Flow run received invalid "
            "parameters:\n - parameters.epochs: Input should be greater than or equal to 1",
            "Flow run received invalid parameters: - parameters.epochs: Input should be greater than or equal to 1",
        ),
        ("Crash detected! roofs: a concept's name", "Crash detected! roofs: a concept's name"),
        ("", ""),
    ],
)
def test_a_reason_is_the_first_line_of_the_error(message, line):
    assert reason(message) == line


def test_a_training_under_way_says_how_far_it_is(said, workspace):
    @flow(name="train-visual-detector", flow_run_name="train roofs")
    def training() -> list[str]:
        folder = workspace / ".sightline/training/abc"
        write(folder / "flow_run.txt", str(flow_run.id))
        rows = [said("status", "train roofs", "--json")]
        done = {"epoch": 12, "epochs": 60, "step": 120, "steps": 600, "seconds": 60.5, "remaining": 242.1}
        write(folder / PROGRESS, json.dumps(done))
        return [*rows, said("status", "train roofs", "--json"), said("status", "train roofs")]

    early, later, text = training()
    assert (json.loads(early)["status"], json.loads(early)["progress"]) == ("training", None)
    progress = json.loads(later)["progress"]
    assert (progress["epoch"], progress["remaining"]) == (12, 242.1)
    assert progress["text"] == "epoch 12 of 60, 4 min left"
    assert text.splitlines()[0] == "train roofs  training" and "progress epoch 12 of 60, 4 min left" in text
    after = json.loads(said("status", "train roofs", "--json"))
    assert (after["status"], after["progress"]) == ("trained", None)


def test_what_has_ended_is_not_cancelled_and_that_is_said(said, ran):
    assert said("cancel", "the part") == "the whole has ended already: it is done. Nothing was cancelled.\n"


def test_a_commands_run_is_cancelled_in_its_process(said, prefect_server, workspace):
    settings = {"PREFECT_API_URL": prefect_server, OURS: prefect_server, "PYTHONPATH": str(CODE)}
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPS], env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout.readline() == b"asleep\n"
        told = json.loads(said("cancel", "a sleeper", "--json"))
        assert told["status"] == "cancelled"
        assert told["said"] == "a sleeper is cancelled. Started again, it goes on where it stopped."
        assert process.poll() is not None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    row = json.loads(said("status", "a sleeper", "--json"))
    assert (row["state"], row["status"], row["reason"]) == ("Cancelled", "cancelled", "Cancelled by hand.")


def test_a_run_without_a_process_here_is_not_cancelled(said):
    @flow(flow_run_name="elsewhere")
    def elsewhere() -> None:
        with pytest.raises(AssertionError, match=r"elsewhere: no process of this workspace runs it, .* end it there"):
            said("cancel", "elsewhere")

    elsewhere()


def test_a_run_that_waits_for_the_worker_is_cancelled(said):
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(whole), "waiting")
        waiting = client.create_flow_run_from_deployment(deployment, name="in the queue")
    assert json.loads(said("status", "in the queue", "--json"))["status"] == "queued"
    part.with_options(flow_run_name="in the queue")()  # newer, and ended: not the one that is meant
    assert json.loads(said("cancel", "in the queue", "--json"))["status"] == "cancelled"
    assert json.loads(said("status", str(waiting.id), "--json"))["status"] == "cancelled"


def test_a_run_whose_process_the_worker_ends_is_cancelled_and_not_crashed(said):
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(whole), "worked on")
        working = client.create_flow_run_from_deployment(deployment, name="in its hands")
        client.set_flow_run_state(working.id, Running(), force=True)

    def end_it() -> None:
        with get_client(sync_client=True) as worker:
            while worker.read_flow_run(working.id).state.type != StateType.CANCELLING:
                time.sleep(0.05)
            worker.set_flow_run_state(working.id, Crashed(message="aborted by a signal"), force=True)

    with ThreadPoolExecutor() as beside:
        beside.submit(end_it)
        assert said("cancel", "in its hands") == "in its hands is cancelled.\n"
    row = json.loads(said("status", str(working.id), "--json"))
    assert (row["state"], row["reason"]) == ("Cancelled", "Cancelled by hand.")
