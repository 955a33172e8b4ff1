"""Several processes learn together what one learns alone, and end together."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from models import training
from models.parameters import ClassifierParameters
from models.runtime import networks
from models.runtime.faults import Fault
from tasks.data.dataset import open_dataset
from tasks.distributed import Machines, learn_together
from tasks.fitting import learn
from tests.registered import pinned
from tests.together import tiny

TWO = Machines(devices=2, minutes=8)


@pytest.fixture
def dataset(tmp_path):
    return open_dataset(Path(pinned(tmp_path / "shapes").folder))


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # compiled, the libraries load in half the time
    trainer = training.pl.Trainer
    monkeypatch.setattr(training.pl, "Trainer", lambda **given: trainer(**given | {"accelerator": "cpu"}))


def given(**more) -> ClassifierParameters:
    plain = {"image_size": 32, "batch_size": 4, "epochs": 4, "learning_rate": 0.01, "precision": "float32"}
    return ClassifierParameters(**plain | more)


@pytest.fixture
def started():
    """What was started since, and still runs; other tests' servers do, too."""
    before = psutil.Process().children(recursive=True)
    return lambda: [child for child in psutil.Process().children(recursive=True) if child not in before]


class Heard(list):
    """What is said; where that is the command for another machine, it is run, as if this were that machine."""

    others: subprocess.Popen | None = None

    def append(self, line: str) -> None:
        super().append(line)
        if line.startswith("on each of the other machines"):
            command = [sys.executable, *shlex.split(line.partition("run: python ")[2])]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self.others = subprocess.Popen(command, cwd=Path(__file__).parents[2], **quiet)


@pytest.fixture
def heard():
    heard = Heard()
    yield heard
    if heard.others:
        heard.others.kill()
        heard.others.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("nodes", [1, 2])
def test_two_processes_learn_what_one_learns_on_one_machine_or_two(
    tmp_path, dataset, monkeypatch, started, heard, nodes
):
    monkeypatch.setitem(networks.BUILDERS, "resnet_light", tiny)
    alone, monitored = learn(dataset, given(), tmp_path / "alone")
    seen = []
    machines = Machines(devices=2 // nodes, nodes=nodes, meet=f"127.0.0.1:{free_port()}", minutes=8)
    rows, named = learn_together(
        dataset, given(), tmp_path / "all of them", machines, False, heard.append, seen.append, module="tests.together"
    )
    if nodes > 1:
        assert heard.others.wait(60) == 0
    assert named == monitored == "val_accuracy"
    for name in ("train_loss", "val_loss", "val_accuracy", "learning_rate", "step", "epoch"):
        assert [row[name] for row in rows] == pytest.approx([row[name] for row in alone], abs=1e-4), name
    ours, theirs = (load_file(tmp_path / where / "best.safetensors") for where in ("alone", "all of them"))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in ours)
    assert seen == rows
    assert any("epoch 4 of 4" in line for line in heard) or nodes > 1  # there the first process may be the other's
    assert started() == []


def test_a_process_that_fails_ends_all_and_says_why(tmp_path, dataset, monkeypatch, started):
    monkeypatch.setenv("SIGHTLINE_TEST_TROUBLE", "fail")
    with pytest.raises(Fault, match=r"the training on 2 devices failed:\n(.*\n)*.*MemoryError: no memory on this"):
        learn_together(dataset, given(), tmp_path / "two", TWO, module="tests.together")
    assert started() == []


def test_a_process_that_hangs_is_not_waited_for(tmp_path, dataset, monkeypatch, started):
    monkeypatch.setenv("SIGHTLINE_TEST_TROUBLE", "hang")
    with pytest.raises(Fault, match=r"took no step for 0\.05 minutes and was ended"):
        learn_together(dataset, given(), tmp_path / "two", Machines(devices=2, minutes=0.05), module="tests.together")
    assert started() == []


def test_what_cannot_be_shared_out_is_refused(tmp_path, dataset):
    with pytest.raises(
        Fault, match=r"batch_size: 4 pictures a step cannot be shared out .* 3 processes .* multiple of 3"
    ):
        learn_together(dataset, given(), tmp_path, Machines(devices=3))
    with pytest.raises(Fault, match=r"2 machines need to know where to meet"):
        Machines(nodes=2)
    with pytest.raises(Fault, match="a training needs a device, a machine and time"):
        Machines(devices=0)
