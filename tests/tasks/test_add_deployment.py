import pytest
import yaml

from models.runtime.faults import Fault
from tasks import deployments
from tasks.deployments import add_deployment, changed

BEFORE = """\
# ours
deployments:
  # every night
  - name: ingest
    entrypoint: flows.ingest.ingest
    work_pool: {name: sightline}
"""


@pytest.fixture
def prefect_yaml(workspace, monkeypatch):
    """A prefect.yaml with one deployment."""
    monkeypatch.setenv("PREFECT_HOME", str(workspace / "home"))
    path = workspace / "prefect.yaml"
    path.write_text(BEFORE)
    return path


def test_a_new_app_gets_its_night_and_nothing_else_changes(prefect_yaml):
    add_deployment("tiles", "30 3 * * *", "Europe/Berlin")
    text = prefect_yaml.read_text()
    assert text.startswith(BEFORE)
    assert yaml.safe_load(text)["deployments"][1] == {
        "name": "pipeline-tiles",
        "entrypoint": "flows.pipeline.pipeline",
        "parameters": {"app": "tiles"},
        "schedules": [{"cron": "30 3 * * *", "timezone": "Europe/Berlin"}],
        "concurrency_limit": {"limit": 1, "collision_strategy": "CANCEL_NEW"},
        "tags": ["tiles"],
        "work_pool": {"name": "sightline"},
    }


def test_twice_is_once(prefect_yaml):
    add_deployment("tiles", "0 2 * * *")
    once = prefect_yaml.read_text()
    add_deployment("tiles", "0 2 * * *")
    assert prefect_yaml.read_text() == once


def test_without_a_prefect_yaml_one_is_made(prefect_yaml):
    prefect_yaml.unlink()
    add_deployment("tiles", "0 2 * * *")
    assert len(yaml.safe_load(prefect_yaml.read_text())["deployments"]) == 1


@pytest.mark.parametrize("text", ["deployments: [", "deployments: []\nname: x\n"])
def test_a_file_that_cannot_be_added_to_stays_as_it_is(prefect_yaml, text):
    prefect_yaml.write_text(text)
    with pytest.raises(Fault, match=r"(?s)prefect\.yaml: pipeline-tiles cannot be added \(.*Add it by hand:\n  - name"):
        add_deployment("tiles", "0 2 * * *")
    assert prefect_yaml.read_text() == text


def test_deployed_again_when_something_in_it_changed(prefect_yaml, workspace):
    here, elsewhere = "http://127.0.0.1:4200/api", "http://prefect.example/api"
    assert changed(here)
    deployments._remember(here, deployments._digest())
    assert not changed(here)
    assert changed(elsewhere)
    (workspace / "apps").mkdir()
    (workspace / "apps" / "tiles.yaml").write_text("name: tiles\n")
    assert changed(here)


def test_nothing_to_deploy_without_a_prefect_yaml(prefect_yaml):
    prefect_yaml.unlink()
    assert not changed("http://127.0.0.1:4200/api")


def test_an_apps_schedule_is_what_counts(prefect_yaml, workspace):
    (workspace / "apps").mkdir()
    for name, hour in (("tiles", 2), ("gutters", 4)):
        app = f"name: {name}\nsource: x\ndataset: {name}\ntraining: {{template: resnet18}}\nschedule: 0 {hour} * * *\n"
        (workspace / "apps" / f"{name}.yaml").write_text(app)
    (workspace / "apps" / "broken.yaml").write_text("name: broken\n")
    add_deployment("tiles", "30 3 * * *")
    said = deployments.follow_apps()
    nights = {
        entry["name"]: entry.get("schedules") for entry in yaml.safe_load(prefect_yaml.read_text())["deployments"]
    }
    assert nights == {
        "ingest": None,
        "pipeline-tiles": [{"cron": "0 2 * * *", "timezone": "UTC"}],
        "pipeline-gutters": [{"cron": "0 4 * * *", "timezone": "UTC"}],
    }
    assert said[0].startswith("broken is left as it is: ")
    assert said[1:] == ("tiles runs at 0 2 * * * now",)
    assert deployments.follow_apps() == said[:1]
