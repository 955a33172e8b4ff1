"""`sightline run`: what flows did, and which run is meant."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from prefect import flow, get_run_logger
from prefect.logging.handlers import APILogWorker

from flows.cli import main


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
