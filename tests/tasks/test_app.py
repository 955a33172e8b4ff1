"""The App file: what is written is read, and every fault in it is told in one answer."""

from pathlib import Path

import pytest
import yaml

from models.catalog import TEMPLATES
from models.parameters import ClassifierParameters
from models.runtime.faults import Fault
from tasks.app import App, Gate, app_path, apps, create_app, read_app

GOOD = {
    "name": "roofs",
    "source": "photos/roofs",
    "dataset": "roofs",
    "training": {"template": "resnet18", "epochs": 3},
    "gate": {"metric": "accuracy", "min_improvement": 0.01},
    "schedule": "30 1 * * 1-5",
}


def write(root: Path, file: str = "roofs", **changed) -> Path:
    path = root / "apps" / f"{file}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(GOOD | changed))
    return path


def test_a_good_file(workspace, monkeypatch):
    monkeypatch.chdir(workspace / "..")  # found from the root too
    path = write(workspace)
    app = read_app("roofs")
    assert app == read_app(path) == read_app("apps/roofs.yaml")
    assert (app.name, app.source, app.format, app.tolerance) == ("roofs", "photos/roofs", "auto", 0.05)
    assert app.parameters() == ClassifierParameters(template="resnet18", epochs=3)
    assert app.gate == Gate(metric="accuracy", min_improvement=0.01)


def test_a_copied_file_that_keeps_its_name_is_refused(workspace, tmp_path):
    path = write(workspace, "houses")
    said = rf"^{path}: its name is 'roofs': write `name: houses`, or call the file roofs\.yaml$"
    for given in ("houses", path):
        with pytest.raises(Fault, match=said):
            read_app(given)
    assert read_app(path.rename(tmp_path / "houses.yaml")).name == "roofs"  # elsewhere a file is called as one likes


def test_what_is_left_out_has_a_default():
    app = App(name="roofs", source="photos", dataset="roofs", training={"template": "fcos_light"})
    assert (app.gate, app.schedule, app.model) == (Gate(), "0 2 * * *", "")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shedule": "0 3 * * *"}, r"shedule: no such key\. Known: .*\. Did you mean 'schedule'\?"),
        ({"gate": {"metrc": "f1"}}, r"gate\.metrc: no such key\. Known: metric, min.*\. Did you mean 'metric'\?"),
        ({"gate": {"minimum": True}}, r"gate\.minimum: a number from 0 to 1 is wanted, got true"),
        ({"gate": {"minimum": 2}}, r"gate\.minimum: input should be less than or equal to 1, got 2"),
        ({"name": "My Roofs"}, r"name: got 'My Roofs'\. Lower-case letters, digits and '-'"),
        ({"name": "-roofs"}, r"name: got '-roofs'\. Lower-case"),
        ({"name": "a" * 49}, r"name: got 'a+'\. Lower-case"),
        ({"schedule": "every night"}, r"schedule: got 'every night'\. Cron: minute, hour, day, month, weekday"),
        ({"schedule": "99 2 * * *"}, r"schedule: got '99 2 \* \* \*' \(.+\)\. Cron: minute, hour"),
        ({"schedule": "0 2 31 2 x"}, r"schedule: got '0 2 31 2 x' \(.+\)\. Cron: minute, hour"),
        (
            {"gate": {"metric": "map_50"}},
            r"gate\.metric: no classification model is promoted by 'map_50'\.",
        ),
        ({"gate": {"metric": "log_loss"}}, r"gate\.metric: no classification model is promoted by 'log_loss'\."),
        ({"gate": {"metric": "subset_accuracy"}}, r"gate\.metric: no cl.* is promoted by 'subset_accuracy'\."),
        (
            {
                "gate": {"metric": "top5_accuracy"},
                "training": {"template": "resnet18", "concepts_mutually_exclusive": False},
            },
            r"gate\.metric: no classification model is promoted by 'top5_accuracy'\.",
        ),
        (
            {"gate": {"metric": "map_small"}, "training": {"template": "fcos_light"}},
            r"gate\.metric: a difference in map_small has no interval: say with min_improvement by how much",
        ),
        ({"source": ""}, r"source: string should have at least 1 character, got ''"),
        ({"dataset": "../roofs"}, r"dataset: '\.\./roofs' cannot name a dataset"),
        ({"format": "zip"}, r"format: there is no format 'zip'\. "),
        ({"split": "a/b/c"}, r"split: .*give the shares of train, val and test"),
        ({"model": "../roofs"}, r"model: '\.\./roofs' cannot name a model"),
        ({"tolerance": 5}, r"tolerance: input should be less than or equal to 1, got 5"),
        ({"source": None}, r"source: input should be a valid string, got None"),
        ({"training": {"template": "fcos_lite"}}, r"there is no template 'fcos_lite'.*Did you mean 'fcos_light'\?"),
        ({"training": {"template": None}}, r"training: template: a name is wanted, got None"),
        ({"training": {"template": "resnet18", "epoch": 1}}, r"training: epoch: no such parameter.*'epochs'"),
        ({"training": "resnet18"}, r"training: input should be a valid dictionary, got 'resnet18'"),
    ],
)
def test_each_fault_has_its_sentence(workspace, changed, message):
    path = write(workspace, **changed)
    with pytest.raises(Fault, match=rf"(?s)^{path}: 1 fault\n  {message}"):
        read_app("roofs")


def test_one_run_may_have_another_bar(workspace):
    write(workspace)
    app = read_app("roofs")
    assert app.with_gate(None) == app
    assert App(**app.model_dump() | {"gate": None}).gate == Gate()
    assert app.with_gate(0.2).gate == Gate(metric="accuracy", min_improvement=0.2)
    with pytest.raises(Fault, match="min_improvement: a number from 0 to 1 is wanted, got 2"):
        app.with_gate(2)


def test_a_metric_without_an_interval_is_taken_where_enough_is_said(workspace):
    gate = {"metric": "mar_100", "min_improvement": 0.01}
    write(workspace, gate=gate, training={"template": "fcos_light"})
    assert read_app("roofs").gate == Gate(**gate)


@pytest.mark.parametrize("missing", ["name", "source", "dataset", "training"])
def test_what_is_missing_is_named_with_what_it_means(workspace, missing):
    content = {key: value for key, value in GOOD.items() if key != missing}
    (workspace / "apps").mkdir()
    (workspace / "apps/roofs.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(Fault, match=rf"\n  {missing}: missing\. {App.model_fields[missing].description}"):
        read_app("roofs")


def test_every_fault_is_told_at_once(workspace):
    write(workspace, name="My Roofs", colour="red", training={"template": "resnet18", "epochs": 0})
    with pytest.raises(Fault, match=r": 3 faults\n") as caught:
        read_app("roofs")
    for sentence in ("name: got 'My Roofs'", "training: epochs: ", "colour: no such key"):
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: [roofs", r"roofs\.yaml: not YAML \("),
        (b"d: 2020-99-99", r"roofs\.yaml: not YAML \("),
        (b"name: !!int ''", r"roofs\.yaml: not YAML \("),
        (b"[" * 3000, r"roofs\.yaml: not YAML \("),
        (b"\xff\xfe\x00", r"roofs\.yaml: not YAML \("),
        (b"", r"roofs\.yaml: an app is a mapping"),
        (b"- roofs", r"roofs\.yaml: an app is a mapping"),
        (b"1: 2", r"1: keys should be strings"),
    ],
)
def test_what_is_no_app_file(workspace, content, message):
    (workspace / "apps").mkdir()
    (workspace / "apps/roofs.yaml").write_bytes(content)
    with pytest.raises(Fault, match=message):
        read_app("roofs")


def test_an_unknown_app_answers_with_the_nearest(workspace):
    write(workspace)
    write(workspace, "listings")
    assert apps() == ("listings", "roofs")
    with pytest.raises(Fault, match=r"there is no app 'rofs'\. Known: listings, roofs\. Did you mean 'roofs'\?"):
        app_path("rofs")
    with pytest.raises(Fault, match=r"Did you mean 'roofs'\?"):
        app_path("apps/rofs.yaml")


def test_without_apps_it_says_how_to_make_one(workspace):
    with pytest.raises(Fault, match=r"there is no app 'roofs'\. Known: none\. `sightline app create` makes one"):
        app_path("roofs")


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_created_app_is_read_back(workspace, template):
    path = create_app("roofs", "photos/roofs", template)
    assert path == workspace / "apps/roofs.yaml"
    app = read_app("roofs")
    assert app == App(name="roofs", source="photos/roofs", dataset="roofs", training={"template": template})
    assert path.read_text().count("#") > 8  # commented


@pytest.mark.parametrize(
    "source", ["my photos #1", "a: b", "yes", "2024", "~", "[x]", "Dächer/ü", "'", '"', "- a", "{b}", " "]
)
def test_any_source_survives_its_file(workspace, source):
    create_app("roofs", source, "resnet18")
    assert read_app("roofs").source == source


@pytest.mark.parametrize("name", ["2024", "on", "null", "1e3"])
def test_a_name_that_yaml_would_take_for_something_else(workspace, name):
    create_app(name, "photos", "resnet18")
    assert (read_app(name).name, read_app(name).dataset) == (name, name)


@pytest.mark.parametrize(
    ("name", "template", "message"),
    [
        ("My Roofs", "resnet18", r"^app 'My Roofs': name: got 'My Roofs'\. Lower-case letters"),
        ("../roofs", "resnet18", r"name: got '\.\./roofs'"),
        ("a: b", "resnet18", r"name: got 'a: b'"),
        ("roofs", "resnet81", r"there is no template 'resnet81'.*Did you mean 'resnet18'\?"),
    ],
)
def test_a_bad_app_is_not_created(workspace, name, template, message):
    with pytest.raises(Fault, match=message):
        create_app(name, "photos", template)
    assert not (workspace / "apps").exists()


def test_an_app_is_not_written_over(workspace):
    path = create_app("roofs", "photos", "resnet18")
    path.write_text("mine")
    with pytest.raises(Fault, match=r"roofs\.yaml: there is an app of that name already"):
        create_app("roofs", "photos", "resnet18")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "apps").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_apps_of_this_project_are_good(path):
    app = read_app(path)
    assert app.name == path.stem
    assert app.parameters()
