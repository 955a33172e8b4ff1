"""The `sightline` command: help with examples, one JSON object, exit codes, and nothing heavy before it is needed."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from flows.cli import app, main, training
from flows.cli.output import fail
from flows.cli.path import share
from flows.cli.predicted import most, story
from models.catalog import TEMPLATES, TYPES, names
from models.parameters import parameters
from models.runtime.faults import Fault
from tests.registered import always, pinned, planned, registered

CODE = Path(__file__).resolve().parents[2]


class Said(NamedTuple):
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def sightline(capsys, monkeypatch):
    """Call the command in this process."""

    def call(*arguments: Any) -> Said:
        monkeypatch.setattr(sys, "argv", ["sightline", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main()
        return Said(int(done.value.code or 0), *capsys.readouterr())

    return call


def leaves(group: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command below a group."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        below = (*above, name)
        found += leaves(command, below) if hasattr(command, "commands") else [below]
    return found


COMMANDS = leaves(typer.main.get_command(app))


NOUNS = {"app", "dataset", "template", "type", "model", "run", "workflow", "index"}


def test_a_name_does_not_steer_the_terminal(capsys):
    with pytest.raises(SystemExit):
        fail("2 faults\n  \x1b[31mred\x07: no such input, é 日本 stay")
    assert capsys.readouterr().err == "error: 2 faults\n  \\x1b[31mred\\x07: no such input, é 日本 stay\n"


def test_what_was_left_out_is_a_line_each():
    rejected = [{"path": "a\nb\x1b.png", "reason": "no\tpicture"}]
    told = story({"model": "m/1", "images": 1, "output": "o", "found": {}, "rejected": rejected})
    assert told.splitlines()[1:] == ["  left out: a\\nb\\x1b.png: no\\tpicture"]


def test_every_command_is_there():
    verbs = "compare demo down evaluate ingest pipeline predict train up"
    assert " ".join(sorted(words[0] for words in COMMANDS if len(words) == 1)) == verbs
    assert {words[0] for words in COMMANDS if len(words) > 1} == NOUNS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example(sightline, words):
    said = sightline(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Example: sightline {' '.join(words)}" in said.out
    assert "--json" in said.out


def test_help_is_light():
    code = """
import resource, sys
from flows.cli import main
sys.argv = ["sightline", "--help"]
try:
    main()
finally:
    heavy = [name for name in ("torch", "mlflow", "prefect", "numpy", "PIL", "pydantic", "dvc") if name in sys.modules]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(heavy, used.ru_utime + used.ru_stime, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CODE, capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    heavy, seconds = done.stderr.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert float(seconds) <= 0.5


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["predict"], "Missing argument"),
        (["predict", "a"], "name pictures, or --list FILE, or --dataset NAME"),
        (["evaluate", "a", "--threshold", "2"], "'--threshold': Input should be less than or equal to 1"),
        (["evaluate", "a", "--split", "val+tset"], "there is no split 'tset'. Known: test, train, val. Did you mean"),
        (["compare", "a", "b", "--split", ""], "there is no split ''"),
        (["evaluate", "a", "--iou", "nan"], "a number above 0 and at most 1 is wanted, got 'nan'"),
        (["evaluate", "a", "--precision", "0"], "a number above 0 and at most 1 is wanted, got '0'"),
        (["dataset", "label-issues", "a", "--model", "b", "--split", "+"], "there is no split ''"),
        (["ingest", "photos"], "give a SOURCE and --dataset NAME"),
        (["ingest", "--dataset", "a"], "give a SOURCE and --dataset NAME"),
        (["ingest", "photos", "--dataset", "a", "--tolerance", "many"], "'many' is no share: write 5% or 0.05"),
        (["train"], "give a train.yaml, or --dataset and --template"),
        (["train", "--dataset", "a", "--template", "resnet18", "--set", "epochs"], "'epochs': write key=value"),
        (["train", "--dataset", "a", "--template", "resnet18", "--set", "a=["], "the value is not YAML"),
        (["train", "--dataset", "a", "--template", "resnet18", "--set", "a=!!int ''"], "the value is not YAML"),
        (["train", "--dataset", "a", "--template", "resnet18", "--folds", "1"], "a sweep, or 2 folds and more"),
        (["train", "t.yaml", "--sweep", "s.yaml", "--folds", "5"], "a sweep, or 2 folds and more: one of them"),
        (["train", "t.yaml", "--folds", "5", "--devices", "2"], "a trial or a fold is trained on one device"),
        (["compare", "roofs-detector/1"], "MODELS: roofs-detector/1 on one dataset alone cannot be compared"),
        (["dataset", "checkout", "roofs"], "'roofs': write NAME@VERSION"),
        (["demo", "--seed", "-1"], "'--seed': Input should be greater than or equal to 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_2_and_says_how_it_is_right(sightline, words, reason):
    said = sightline(*words)
    assert (said.code, said.out) == (2, "")
    assert reason in said.err
    assert "sightline" in said.err.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["app", "check", "roofs"], "there is no app 'roofs'. Known: none. `sightline app create` makes one."),
        (["template", "show", "MMDetection_SSD"], "Use 'ssd300_vgg16' instead."),
        (["template", "list", "detector"], "there is no trainable model type 'detector'. Known: clusterer, "),
        (["dataset", "show", "roofs"], "there is no dataset 'roofs' on disk"),
        (["model", "show", "nobody"], "there is no model 'nobody'"),
        (["train", "gone.yaml"], "gone.yaml: no such file or directory. `sightline template show NAME > gone.yaml`"),
        (["train", "--dataset", "a", "--template", "resnet"], "there is no template 'resnet'. Known: "),
        (["app", "create", "Roofs"], "name: got 'Roofs'. Lower-case letters, digits and '-'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_fails_is_1_with_a_sentence(sightline, words, reason):
    said = sightline(*words)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: ") and reason in said.err
    assert said.err.count("\n") == 1


@pytest.fixture
def ends_with(monkeypatch):
    """Let `up` and `train` end with this error."""

    def end(error: BaseException) -> None:
        def fail(*_):
            raise error

        monkeypatch.setattr("tasks.servers.up", fail)
        monkeypatch.setattr(training, "run", fail)

    return end


def test_an_interruption_is_a_sentence(sightline, ends_with):
    ends_with(KeyboardInterrupt())
    assert sightline("up") == (130, "", "interrupted\n")
    said = sightline("train", "--dataset", "a", "--template", "resnet18")
    assert said == (130, "", "interrupted: the same command goes on from where it stopped\n")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/a/file"), "/a/file: Permission denied"),
        (OSError(36, "File name too long", "n" * 4000), f"n…{'n' * 50}: File name too long"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (sqlite3.OperationalError("database or disk is full"), "unless you named another): database or disk is full"),
        (
            RuntimeError("(sqlite3.OperationalError) disk I/O error\n[SQL: x]"),
            "named another): disk I/O error",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_disk_or_a_file_is_the_cause_of_is_a_sentence(sightline, ends_with, error, reason):
    ends_with(error)
    said = sightline("up")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: ") and said.err.endswith(f"{reason}\n") and said.err.count("\n") == 1


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError("x"), OSError(9, "x"), sqlite3.OperationalError("no such column: x")]
)
def test_a_fault_of_ours_keeps_its_traceback(ends_with, monkeypatch, error):
    ends_with(error)
    monkeypatch.setattr(sys, "argv", ["sightline", "up"])
    with pytest.raises(type(error)):
        main()


def test_a_root_that_cannot_be_worked_in_is_a_sentence(sightline, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_ROOT", "/proc/nope")
    said = sightline("template", "list")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert said.err.startswith("error: SIGHTLINE_ROOT names no folder that can be worked in: '/proc/nope'")


@pytest.mark.parametrize(
    ("given", "value"),
    [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("1", 1.0), ("100%", 1.0), ("2.5%", 0.025)],
)
def test_a_share_is_percent_or_a_fraction(given, value):
    assert share(given) == pytest.approx(value)


@pytest.mark.parametrize("given", ["5", "101%", "-1%", "nan", "inf", "", "%", "five"])
def test_what_is_no_share_is_refused(given):
    with pytest.raises(typer.BadParameter, match=r"is no share: write 5% or 0\.05"):
        share(given)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_shown_is_a_training_file(sightline, tmp_path, name):
    said = sightline("template", "show", name)
    file = tmp_path / "train.yaml"
    file.write_text(said.out, encoding="utf-8")
    given = training.read_file(file)
    assert list(given) == ["dataset", "name", "parameters"]
    assert (given["dataset"], given["name"]) == (None, "")
    assert parameters(given["parameters"]) == parameters({"template": name})
    fields = [line for line in said.out.splitlines() if line.startswith("  ") and not line.startswith("  #")]
    comments = [line for line in said.out.splitlines() if line.startswith("  # ")]
    assert len(fields) == len(comments) == len(given["parameters"])
    assert sightline("template", "show", name, "--json").json["parameters"].keys() == given["parameters"].keys()


def test_a_training_file_lacks_a_dataset_until_it_is_named(sightline, tmp_path, started):
    file = tmp_path / "train.yaml"
    file.write_text(sightline("template", "show", "resnet18").out, encoding="utf-8")
    said = sightline("train", file)
    assert (said.code, said.err) == (1, f"error: {file}: dataset is empty: fill it in, or add --dataset NAME\n")
    sightline("train", file, "--dataset", "roofs")
    assert started == [("train-visual-classifier", "roofs", parameters({"template": "resnet18"}), "")]
    file.write_text("dataset: roofs\n")
    assert "parameters has no template: fill it in, or add --template NAME" in sightline("train", file).err


def test_templates_are_listed_by_type(sightline):
    assert "fcos_light" in sightline("template", "list").out
    rows = sightline("template", "list", "visual-classifier", "--json").json["templates"]
    assert [row["template"] for row in rows] == list(names("visual-classifier"))
    every = sightline("template", "list", "visual-classifier", "--all", "--json").json["templates"]
    assert {row["template"] for row in rows} | {"densenet121"} <= {row["template"] for row in every}
    assert "densenet121" not in sightline("template", "list").out


def test_any_networks_parameters_are_shown_and_never_a_hundred_names_on_a_line(sightline):
    said = sightline("template", "show", "densenet121").out
    assert "  template: densenet121\n" in said
    assert "  # The architecture. [`sightline template list --all`]\n" in said
    assert max(map(len, said.splitlines())) < 240


def test_each_type_says_which_question_it_answers(sightline):
    text = sightline("type", "list").out
    rows = sightline("type", "list", "--json").json["types"]
    assert {row["type"]: row["answers"] for row in rows} == TYPES
    for row in rows:
        assert f"{row['type']}: {row['answers']}\n" in text
        assert row["templates"] == list(names(row["type"]))


@pytest.fixture
def started(monkeypatch):
    """The flow that `train` would run, with what it is given."""
    calls: list[tuple] = []

    def run(flow, *given, **machines):
        calls.append((flow.name, *given, *([machines] if machines else [])))
        raise Fault("not run")

    monkeypatch.setattr(training, "run", run)
    return calls


def test_train_takes_a_file_with_changes_over_it(sightline, tmp_path, started):
    file = tmp_path / "train.yaml"
    content = {"dataset": 2024, "name": None, "parameters": {"template": "resnet18", "epochs": 3, "seed": 1}}
    file.write_text(yaml.safe_dump(content))
    sightline("train", file)
    sightline("train", file, "--set", "epochs=5", "--set", "learning_rate=1e-3", "--name", "a", "--dataset", "b")
    expected = {"template": "resnet18", "epochs": 3, "seed": 1}
    assert started == [
        ("train-visual-classifier", "2024", parameters(expected), ""),
        ("train-visual-classifier", "b", parameters(expected | {"epochs": 5, "learning_rate": 0.001}), "a"),
    ]


def test_train_takes_a_dataset_and_a_template(sightline, started):
    sightline("train", "--dataset", "roofs", "--template", "fcos_light", "--set", "weights=none")
    assert started == [("train-visual-detector", "roofs", parameters({"template": "fcos_light"}), "")]


def test_train_on_several_devices_tells_the_flow(sightline, started):
    words = ["train", "--dataset", "roofs", "--template", "resnet18"]
    sightline(*words, "--devices", "2", "--nodes", "2", "--meet", "a:29500")
    assert started[0][-1] == {"devices": 2, "nodes": 2, "meet": "a:29500"}


SWEEP = {"space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}, "trials": 4}


def test_train_takes_a_sweep_or_folds(sightline, tmp_path, started):
    given = {"template": "resnet18", "epochs": 3}
    words = ["train", "--dataset", "roofs", "--template", "resnet18", "--set", "epochs=3", "--name", "a"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    sightline(*words, "--sweep", tmp_path / "sweep.yaml")
    sightline(*words, "--folds", "5")
    (swept, folded) = started
    assert (swept[0], swept[1], swept[2], swept[3].trials, swept[4]) == ("sweep", "roofs", given, 4, "a")
    assert folded == ("folds", "roofs", parameters(given).model_dump(mode="json"), 5, "a")


def test_a_sweep_at_fault_is_told_before_anything_runs(sightline, tmp_path, started):
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(SWEEP | {"space": {"learning_rat": [1], "epochs": [0]}}))
    said = sightline("train", "--dataset", "a", "--template", "resnet18", "--sweep", file)
    assert said.code == 1 and started == []
    assert said.err.startswith(f"error: {file}: 2 faults: epochs: input should be greater than or equal to 1, got 0; ")
    assert "learning_rat: no such parameter. " in said.err and "Did you mean 'learning_rate'?" in said.err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"datset": "a"}, "no such key 'datset'. Known: dataset, name, parameters. Did you mean 'dataset'?"),
        ({"dataset": "a", "parameters": {"template": "resnet18", "epoch": 1}}, "epoch: no such parameter. "),
        ({"dataset": "a", "parameters": {"template": "resnet18", "epochs": 0}}, "epochs: input should be greater than"),
        ({"dataset": "a", "parameters": ["resnet18"]}, "parameters: a mapping is wanted"),
        (["a"], "a training is a mapping of dataset, name, parameters"),
        ("{", "not YAML"),
        ("name: !!int ''", "not YAML"),
    ],
)
def test_a_training_file_at_fault_is_named_with_its_fault(sightline, tmp_path, started, content, reason):
    file = tmp_path / "train.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    said = sightline("train", file)
    assert said.code == 1
    assert said.err.startswith(f"error: {file}: ") and reason in said.err
    assert started == []


def test_an_app_is_created_checked_and_deployed_nightly(sightline, workspace):
    (workspace / "prefect.yaml").write_text("deployments:\n")
    made = sightline("app", "create", "roofs", "--source", "my photos/", "--json").json
    assert made == {"app": "roofs", "file": str(workspace / "apps/roofs.yaml")}
    checked = sightline("app", "check", "roofs", "--json").json
    assert (checked["name"], checked["source"]) == ("roofs", "my photos/")
    assert checked["training"] == {"template": "fcos_light"}
    assert (checked["model"], checked["source_exists"]) == ("roofs-detector", False)
    assert "Its source is not there yet" in sightline("app", "check", "roofs").out
    assert [row["app"] for row in sightline("app", "list", "--json").json["apps"]] == ["roofs"]
    (night,) = yaml.safe_load((workspace / "prefect.yaml").read_text())["deployments"]
    assert (night["name"], night["parameters"]) == ("pipeline-roofs", {"app": "roofs"})
    assert night["schedules"][0]["cron"] == checked["schedule"]
    again = sightline("app", "create", "roofs")
    assert again.code == 1 and "there is an app of that name already" in again.err


def test_an_app_at_fault_is_left_out_of_the_list_and_named(sightline, workspace):
    sightline("app", "create", "good")
    (workspace / "apps/bad.yaml").write_text("name: bad\n")
    said = sightline("app", "list", "--json")
    assert [row["app"] for row in said.json["apps"]] == ["good"]
    assert "bad.yaml: 3 faults" in said.err


def test_an_empty_workspace_says_how_to_start(sightline):
    for noun, how in (("dataset", "sightline ingest"), ("app", "sightline app create")):
        assert how in sightline(noun, "list").out
        assert sightline(noun, "list", "--json").json == {f"{noun}s": []}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A classifier that says tall to everything."""
    folder = tmp_path_factory.mktemp("version")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_ROOT", str(folder / "root"))
        return registered(planned(pinned(folder / "shapes")), always(0))


@pytest.fixture
def photos(tmp_path):
    return Path(pinned(tmp_path / "shapes").folder)


def test_models_are_listed_and_shown(sightline, version):
    rows = sightline("model", "list", version.name, "--json").json["models"]
    assert [(row["model"], row["aliases"], row["accuracy"]) for row in rows] == [(str(version), "challenger", None)]
    shown = sightline("model", "show", version.name, "--json").json
    assert (shown["number"], shown["card"]["concepts"]) == (1, ["tall", "wide"])
    assert "map_50" not in sightline("model", "list", version.name).out  # nor any column that has no value
    text = sightline("model", "show", version.name).out
    assert f'load it: mlflow.pyfunc.load_model("models:/{version}")' in text


def test_a_version_is_made_champion(sightline, version):
    told = sightline("model", "promote", version).out
    assert told == f"{version} was made champion by hand.\n"
    assert sightline("model", "promote", f"{version.name}@champion", "--json").json["champion"] == str(version)


def test_results_are_one_json_object_or_a_table(sightline, version, photos, monkeypatch):
    done = sightline("evaluate", version, "--dataset", photos, "--json").json
    assert (done["model"], done["metrics"]["accuracy"], done["images"]) == (str(version), 0.5, 4)
    assert not done["measured_before"]
    assert "\nmeasured before: model, data, " in sightline("evaluate", version, "--dataset", photos).out
    told = sightline("evaluate", version, "--dataset", photos, "--split", "train").out
    assert "measured before" not in told
    assert "8 of 8 images were seen in training: these are not held-out numbers." in told
    assert "accuracy" in told and "tall" in told and "report: " in told
    assert "(8 images)\n" in told  # the highest score decides, no threshold does
    assert re.search(r"^  images +8$", told, re.MULTILINE)
    assert re.search(r"^  accuracy +0\.5000  \(95 % interval 0\.\d{4} to [01]\.\d{4}\)$", told, re.MULTILINE)
    done = sightline("compare", version, "--dataset", photos, "--split", "val", "--split", "test", "--json").json
    assert [row["Total Concept"] for row in done["totals"]] == ["Dataset:shapes:val", "Dataset:shapes:test"]
    said = sightline("compare", version, version, "--dataset", photos)
    assert said.code == 1 and f"there is one thing to measure, {version} on" in said.err
    told = sightline("compare", version, "--dataset", photos, "--split", "train", "--split", "test").out.splitlines()
    assert [line.split()[-1] for line in told[:3]] == ["training", "8", "0"]
    assert f"{version} on shapes train: 8 of 8 images were seen in training: these are not held-out numbers." in told
    board = sightline("model", "list", version.name, "--dataset", "shapes", "--by", "accuracy")
    assert board.code == 1 and "no version was measured by 'accuracy'" in board.err  # but on a folder elsewhere


def test_a_run_is_named_by_what_it_measures(sightline, version, photos, monkeypatch):
    from prefect.client.orchestration import get_client

    def names() -> list[str]:
        with get_client(sync_client=True) as client:
            return [run.name for run in client.read_flow_runs(limit=2, sort="START_TIME_DESC")]

    sightline("evaluate", version, "--dataset", photos)
    sightline("compare", version, "--dataset", photos, "--split", "val", "--split", "test")
    assert f"evaluate {version} on {photos} test" in names()
    assert f"compare {version} on {photos} val, test" in names()
    assert sightline("evaluate", version).code == 1  # its own is not on disk here
    assert f"evaluate {version} on its own test" in names()


def test_outside_this_process_standard_output_is_one_json_object(version, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = [str(photos / "images/000.png"), str(tmp_path / "broken.png")]
    command = [sys.executable, "-m", "flows", "predict", str(version), *paths, "--output", str(tmp_path / "out")]
    done = subprocess.run([*command, "--json"], cwd=CODE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = Said(0, done.stdout, done.stderr).json
    assert (answer["model"], answer["images"], len(answer["rejected"])) == (str(version), 1, 1)
    assert sorted(answer["found"].values()) == [0, 1]
    assert "Traceback" not in done.stderr


def test_the_line_for_people_names_the_most_frequent_first():
    assert most({"hail": 2, "wind": 0, "moss": 7}) == "7 × moss, 2 × hail"
    assert most({"hail": 0}) == "nothing"
    assert most({str(number): 1 for number in range(23)}).endswith(", 1 × 19, and 3 more")


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path):
    app = tmp_path / os.fsdecode(b"\xff") / "roofs.yaml"
    app.parent.mkdir()
    app.write_text("name: roofs\nsource: photos\ndataset: roofs\ntraining: {template: resnet18}\n")
    command = [sys.executable, "-m", "flows", "app", "check", app]
    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\udcff/roofs.yaml is in order" in done.stdout


def test_no_picture_answered_is_1(sightline, version, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    said = sightline("predict", version, tmp_path / "broken.png", "--output", tmp_path / "out")
    assert said.code == 1
    assert f"left out: {tmp_path / 'broken.png'}: not an image in a known format" in said.out
