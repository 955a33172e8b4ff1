"""An app's night comes into prefect.yaml, follows the app and goes with it; what people wrote there stays."""

import os

import pytest
import yaml

from models.runtime.faults import Fault
from tasks import deployments
from tasks.app import create_app
from tasks.nights import add_deployment, follow_apps

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
    add_deployment("tiles", "30 3 * * *")
    text = prefect_yaml.read_text()
    assert text.startswith(BEFORE)
    assert yaml.safe_load(text)["deployments"][1] == {
        "name": "pipeline-tiles",
        "entrypoint": "flows.pipeline.pipeline",
        "parameters": {"app": "tiles"},
        "schedules": [{"cron": "30 3 * * *", "timezone": "UTC"}],
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


ODD_FILES = {
    "latin": (b"# \xe9\n", "not text in UTF-8"),
    "list": (b"- a\n", "not a mapping"),
    "number": (b"deployments: 3\n", "`deployments:` is not a list of mappings"),
    "strings": (b"deployments: [a, b]\n", "`deployments:` is not a list of mappings"),
    "deep": (b"[" * 10_000, ""),
    "no number": (b"deployments: [{name: !!int ''}]\n", ""),
    "folder": (None, "no file, but a folder or something else"),
    "pipe": (None, "no file, but a folder or something else"),
}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_an_odd_prefect_yaml_is_named_and_never_waited_for(prefect_yaml, workspace, monkeypatch, kind):
    content, reason = ODD_FILES[kind]
    prefect_yaml.unlink()
    if content is not None:
        prefect_yaml.write_bytes(content)
    elif kind == "folder":
        prefect_yaml.mkdir()
    else:
        os.mkfifo(prefect_yaml)
    create_app("tiles", "photos", "resnet18")
    with pytest.raises(Fault, match=rf"prefect\.yaml: .*{reason}"):
        add_deployment("tiles", "0 2 * * *")
    (note,) = follow_apps()
    assert note.startswith("tiles is left as it is: ") and reason in note
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4299/api")
    monkeypatch.setattr(deployments, "_make_pool", lambda: None)
    with pytest.raises(Fault, match=rf"prefect\.yaml: .*{reason}"):
        deployments.main()


def write_app(workspace, name: str, cron: str):
    """An app in order; its file."""
    path = workspace / "apps" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"name: {name!r}\nsource: x\ndataset: tiles\ntraining: {{template: resnet18}}\nschedule: {cron}\n")
    return path


def deployed(prefect_yaml) -> dict[str, dict]:
    """What prefect.yaml names."""
    return {entry["name"]: entry for entry in yaml.safe_load(prefect_yaml.read_text())["deployments"]}


def test_an_apps_schedule_is_what_counts(prefect_yaml, workspace):
    write_app(workspace, "tiles", "0 2 * * *")
    write_app(workspace, "gutters", "0 4 * * *")
    (workspace / "apps" / "broken.yaml").write_text("name: broken\n")
    add_deployment("tiles", "30 3 * * *")
    said = follow_apps()
    nights = {name: entry.get("schedules") for name, entry in deployed(prefect_yaml).items()}
    assert nights == {
        "ingest": None,
        "pipeline-tiles": [{"cron": "0 2 * * *", "timezone": "UTC"}],
        "pipeline-gutters": [{"cron": "0 4 * * *", "timezone": "UTC"}],
    }
    assert said[0].startswith("broken is left as it is: ")
    assert said[1:] == ("tiles runs at 0 2 * * * now",)
    assert follow_apps() == said[:1]


@pytest.mark.parametrize("name", ["2024", "on", "null", "1e3", "0x1f"])
def test_an_apps_name_stays_a_name(prefect_yaml, name):
    add_deployment(name, "0 2 * * *")
    entry = deployed(prefect_yaml)[f"pipeline-{name}"]
    assert (entry["parameters"], entry["tags"]) == ({"app": name}, [name])


HAND_WRITTEN = """\
  - name: pipeline-twice-a-day
    entrypoint: flows.pipeline.pipeline
    parameters: {app: tiles}
    schedules: [{cron: "0 2,14 * * *"}]
    tags: [tiles]
  # What stands between the entries stays.
"""


def test_the_night_of_an_app_that_is_gone_goes_too(prefect_yaml, workspace):
    path = write_app(workspace, "tiles", "0 2 * * *")
    follow_apps()
    with prefect_yaml.open("a") as file:
        file.write(HAND_WRITTEN)
    write_app(workspace, "2024", "0 4 * * *")
    follow_apps()
    before = prefect_yaml.read_text()
    path.unlink()
    assert follow_apps() == ("tiles runs no more: there is no apps/tiles.yaml",)
    assert set(deployed(prefect_yaml)) == {"ingest", "pipeline-twice-a-day", "pipeline-2024"}
    after = prefect_yaml.read_text()
    assert after.startswith(BEFORE + HAND_WRITTEN)
    assert set(after.splitlines()) < set(before.splitlines())
    assert follow_apps() == ()


def test_a_last_night_is_taken_out_without_what_follows(prefect_yaml):
    add_deployment("tiles", "0 2 * * *")
    with prefect_yaml.open("a") as file:
        file.write("\n# The end.\nprefect-version: 3.8.8\n")
    follow_apps()
    assert prefect_yaml.read_text() == BEFORE + "\n# The end.\nprefect-version: 3.8.8\n"


ROOFS = """\
  - name: pipeline-roofs
    entrypoint: flows.pipeline.pipeline
    parameters: {app: roofs}
    schedules: [{cron: "0 1 * * *"}]
    tags: [roofs]
"""
TILES = ROOFS.replace("roofs", "tiles")


@pytest.fixture
def edited(prefect_yaml, workspace):
    """A prefect.yaml with the nights of two apps, that of `tiles` edited by hand in this way; its text."""

    def edit(before: str, after: str) -> str:
        assert before in TILES
        prefect_yaml.write_text(BEFORE + ROOFS + TILES.replace(before, after))
        write_app(workspace, "roofs", "0 1 * * *")
        return prefect_yaml.read_text()

    return edit


def test_an_entry_with_empty_lines_goes_as_a_whole(prefect_yaml, edited):
    edited("    parameters", "\n\n    parameters")
    follow_apps()
    assert prefect_yaml.read_text() == BEFORE + ROOFS


ODD = {
    "a line further to the left": ("    parameters", "# mine\n    parameters"),
    "a line of blanks": ("    parameters", "  \n    parameters"),
    "a name in quotes": ("name: pipeline-tiles", 'name: "pipeline-tiles"'),
    "an anchor": ("    tags: [tiles]\n", "    tags: &tags [tiles]\n  - name: mine\n    tags: *tags\n"),
    "twice": (TILES, TILES + TILES),
}


@pytest.mark.parametrize(("before", "after"), ODD.values(), ids=ODD)
def test_an_entry_that_cannot_be_taken_out_alone_stays_and_is_named(prefect_yaml, edited, before, after):
    text = edited(before, after)
    (said,) = follow_apps()
    assert said.startswith("there is no apps/tiles.yaml, but ")
    assert said.endswith(
        "prefect.yaml: pipeline-tiles is written so that it cannot be changed alone, take it out by hand"
    )
    assert prefect_yaml.read_text() == text


@pytest.mark.parametrize("cron", ["0 1 * * *", "{cron: '0 1 * * *'}, {cron: 0 3 * * *}"])
def test_a_time_that_cannot_be_changed_alone_stays_and_is_named(prefect_yaml, workspace, edited, cron):
    text = edited('[{cron: "0 1 * * *"}]', f"[{cron}]" if "{" in cron else f"[{{cron: {cron}}}]")
    write_app(workspace, "tiles", "0 4 * * *")
    (said,) = follow_apps()
    assert said.startswith("tiles is left as it is: ") and said.endswith("alone, set its cron to '0 4 * * *' by hand")
    assert prefect_yaml.read_text() == text


def test_a_night_without_a_schedule_is_the_users_wish(prefect_yaml, workspace, edited):
    text = edited('    schedules: [{cron: "0 1 * * *"}]\n', "")
    write_app(workspace, "tiles", "0 4 * * *")
    assert follow_apps() == ()
    assert prefect_yaml.read_text() == text


def test_a_prefect_yaml_that_is_not_yaml_is_named_for_each_app(prefect_yaml, workspace):
    write_app(workspace, "tiles", "0 2 * * *")
    prefect_yaml.write_text("deployments: [")
    (said,) = follow_apps()
    assert said.startswith("tiles is left as it is: ") and "pipeline-tiles cannot be added" in said


def test_without_a_prefect_yaml_there_is_nothing_to_follow(prefect_yaml, workspace):
    write_app(workspace, "tiles", "0 2 * * *")
    prefect_yaml.unlink()
    assert follow_apps() == ()
    assert not prefect_yaml.exists()
