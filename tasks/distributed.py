"""One training on several devices or machines: torchrun as a subprocess, each of whose processes runs `learn`.

The pictures of a step are those that one process would see, dealt out round by round; gradients are averaged over
the processes, clipped and stepped as in one. So a network without batch-norm learns the same (to the last digits but
a few: sums are taken in another order), and its loss curve is that of one process. With batch-norm it cannot be: each
process normalises by its own share of a batch. Nor with a detector's loss, which is a mean over the boxes of a share,
nor with dropout or mixup, which each process draws for its own share.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import psutil

from models.parameters import NetworkParameters, parameters
from models.runtime.faults import Fault
from tasks.data.dataset import Dataset, open_dataset
from tasks.data.loading import cores
from tasks.files import write

SAID = "sightline: "  # a line of the first process that is meant for a person begins so
TAIL = 15  # lines of the log that a fault carries
KEPT = 400  # lines of it that are kept: torchrun's own report of a failure comes behind the one that matters
REPORT = "torch/distributed/elastic"  # what a line of that report names
POLL_SECONDS = 0.2
HELD = "SIGHTLINE_HELD"


@dataclass(frozen=True, slots=True)
class Machines:
    """Where a training runs: it has no part in what is learned, and none in a plan's digest.

    devices: processes on each machine, one a GPU; on a machine without, processes on its cores.  nodes: machines.
    meet: `host:port` of the first machine, for more than one.
    minutes: a training that takes no step for so long is ended.
    """

    devices: int = 1
    nodes: int = 1
    meet: str = ""
    minutes: float = 20.0

    def __post_init__(self) -> None:
        if self.devices < 1 or self.nodes < 1 or self.minutes <= 0:
            raise Fault(f"a training needs a device, a machine and time, got {asdict(self)}")
        if self.nodes > 1 and not self.meet:
            raise Fault(f"{self.nodes} machines need to know where to meet: give `host:port` of the first of them")

    @property
    def several(self) -> bool:
        """Whether torchrun is needed at all."""
        return self.devices * self.nodes > 1

    def check(self, batch_size: int) -> None:
        """Raises Fault unless a batch can be shared out equally."""
        world = self.devices * self.nodes
        if batch_size % world:
            raise Fault(
                f"batch_size: {batch_size} pictures a step cannot be shared out equally among {world} processes "
                f"({self.devices} devices on {self.nodes} machines). Set a multiple of {world}."
            )


def learn_together(
    dataset: Dataset,
    given: NetworkParameters,
    folder: Path,
    machines: Machines,
    logger: Any = False,
    say: Callable[[str], object] = str,
    watch: Callable[[dict[str, Any]], object] = bool,
    start: Path | None = None,
    module: str = "tasks.distributed",
) -> tuple[list[dict[str, Any]], str]:
    """What `tasks.fitting.learn` does, in `machines.devices` processes on each of `machines.nodes` machines.

    batch_size is that of all together.  module: what each process runs.  Other machines see the same files, and run
    there the command that `say` is told.  Ended with all its processes when this one is interrupted or ends, or when
    `watch` raises. Raises Fault with the end of the log when a process fails, or takes no step for too long.
    """
    machines.check(given.batch_size)
    if Path(given.weights).is_file():  # the processes run in another folder
        given = given.model_copy(update={"weights": str(Path(given.weights).resolve())})
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "together.json"
    result.unlink(missing_ok=True)
    job = folder / "job.json"
    told = {"dataset": str(dataset.folder), "version": dataset.version, "folder": str(folder)}
    told["start"] = str(start or "")
    write(job, json.dumps(told | {"parameters": given.model_dump(mode="json")}))
    command = _command(machines, module, job)
    if machines.nodes > 1:
        say("on each of the other machines, in the same folder, run: " + shlex.join(["python", *command[1:]]))
    history = _Followed(folder / "history.jsonl", logger, watch)
    _run(command, machines, folder, say, history)
    history.follow()
    if not result.exists():
        raise Fault(f"the training's processes ended without a result ({folder}). Run it again: it goes on from there")
    return history.rows, json.loads(result.read_text(encoding="utf-8"))["monitored"]


def _command(machines: Machines, module: str, job: Path) -> list[str]:
    """torchrun's command line. One machine meets itself, on a free port."""
    meet = ["--standalone"]
    if machines.nodes > 1:
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", machines.meet, "--rdzv-id", job.parent.name]
    processes = ["--nproc-per-node", str(machines.devices), "--nnodes", str(machines.nodes), "--max-restarts", "0"]
    return [sys.executable, "-m", "torch.distributed.run", *meet, *processes, "-m", module, str(job)]


class _Followed:
    """The rows of a history that another process writes, as they come."""

    def __init__(self, path: Path, logger: Any, watch: Callable[[dict[str, Any]], object]) -> None:
        self.path, self.logger, self.watch = path, logger, watch
        self.rows: list[dict[str, Any]] = []
        self.known = len(self._read())  # those of a training that goes on were logged before

    def _read(self) -> list[dict[str, Any]]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def follow(self) -> None:
        self.rows = self._read()
        self.known = min(self.known, len(self.rows))
        for row in self.rows[self.known :]:
            self.known += 1
            if self.logger:
                self.logger.log_metrics({name: value for name, value in row.items() if name != "step"}, row["step"])
            self.watch(row)


def _run(
    command: list[str], machines: Machines, folder: Path, say: Callable[[str], object], history: _Followed
) -> None:
    # Its standard input is a pipe that nothing is ever written to: it closes with this process, however that ends.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        cwd=Path(__file__).resolve().parents[1],
        # torchrun would give each process one thread, whatever the machine has.
        env={"OMP_NUM_THREADS": str(max(1, cores() // machines.devices)), **os.environ, HELD: "1"},
    )
    tail: deque[str] = deque(maxlen=KEPT)
    said: deque[str] = deque()
    reading = threading.Thread(target=_read, args=(process, tail, said), daemon=True)
    reading.start()
    try:
        _wait(process, machines, folder, say, said, history, tail)
    finally:
        _end(process)
        reading.join(5)
        for pipe in (process.stdin, process.stdout):
            pipe.close()  # type: ignore[union-attr]
    while said:
        say(said.popleft())
    if process.returncode:
        raise Fault(f"the training on {machines.devices} devices failed:\n{_end_of(tail)}")


def _wait(
    process: subprocess.Popen[str],
    machines: Machines,
    folder: Path,
    say: Callable[[str], object],
    said: deque[str],
    history: _Followed,
    tail: deque[str],
) -> None:
    """Until it ends. Raises Fault when no step was taken for too long."""
    progress, moved, last = folder / "progress.json", time.monotonic(), 0
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        while said:
            say(said.popleft())
        history.follow()
        stamp = progress.stat().st_mtime_ns if progress.exists() else 0
        if stamp != last:
            last, moved = stamp, time.monotonic()
        if time.monotonic() - moved > machines.minutes * 60:
            raise Fault(
                f"the training on {machines.devices} devices took no step for {machines.minutes:g} minutes and was "
                f"ended. Run it again: it goes on from its last checkpoint. Its log ended with:\n{_end_of(tail)}"
            )


def _end_of(log: Sequence[str]) -> str:
    """Its last lines before torchrun's report, which says that a process failed and not why."""
    own = list(takewhile(lambda line: REPORT not in line, log))
    return "\n".join((own or list(log))[-TAIL:])


def _read(process: subprocess.Popen[str], tail: deque[str], said: deque[str]) -> None:
    for line in process.stdout or ():
        if line.startswith(SAID):
            said.append(line.removeprefix(SAID).rstrip())
        elif line.strip():
            tail.append(line.rstrip())


def _end(process: subprocess.Popen[str]) -> None:
    """With all that it started, wherever that put itself."""
    try:
        started = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        started = []
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    for child in started:
        try:
            child.kill()
        except psutil.Error:
            continue
    process.wait(5)


def main(job: Path) -> None:
    """What each process does. Its first one alone tells and writes."""
    from tasks.fitting import learn

    if HELD in os.environ:  # by this very command: on other machines a person started it, with any standard input
        threading.Thread(target=_end_with_parent, daemon=True).start()
    told = json.loads(job.read_text(encoding="utf-8"))
    folder, first = Path(told["folder"]), os.environ["RANK"] == "0"
    given = parameters(told["parameters"])
    assert isinstance(given, NetworkParameters)

    def say(line: str) -> None:
        print(SAID + line, flush=True)  # noqa: T201 (read by the process that started this one)

    dataset = open_dataset(Path(told["dataset"]), told["version"])
    start = Path(told["start"]) if told["start"] else None
    _, monitored = learn(dataset, given, folder, say=say if first else str, start=start)
    if first:
        write(folder / "together.json", json.dumps({"monitored": monitored}))


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
