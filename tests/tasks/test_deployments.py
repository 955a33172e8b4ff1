"""What prefect.yaml names is deployed again when something in it changed, and withdrawn when it is gone from there."""

import subprocess

import pytest

from tasks import deployments
from tasks.app import create_app
from tasks.deployments import changed

HERE, THERE = "http://127.0.0.1:4200/api", "https://me:secret@prefect.example/api"


@pytest.fixture
def prefect_yaml(workspace, monkeypatch):
    """A prefect.yaml with one deployment."""
    monkeypatch.setenv("PREFECT_HOME", str(workspace / "home"))
    path = workspace / "prefect.yaml"
    path.write_text("deployments:\n  - name: ingest\n    entrypoint: flows.ingest.ingest\n")
    return path


@pytest.mark.parametrize("written", ["[1]", "3", '{"http://server/api": 3}', "{"])
def test_a_damaged_record_of_what_was_deployed_counts_as_none(prefect_yaml, workspace, written):
    (workspace / "home").mkdir()
    (workspace / "home/deployed.json").write_text(written)
    assert changed("http://server/api")


def test_deployed_again_when_something_in_it_changed(prefect_yaml, workspace):
    assert changed(HERE)
    deployments._remember(HERE, deployments._digest(), set())
    assert not changed(HERE)
    assert changed(THERE)
    (workspace / "apps").mkdir()
    (workspace / "apps" / "tiles.yaml").write_text("name: tiles\n")
    assert changed(HERE)


def test_nothing_to_deploy_without_a_prefect_yaml(prefect_yaml):
    prefect_yaml.unlink()
    assert not changed(HERE)


@pytest.fixture
def done(monkeypatch):
    """What deploying to the local server did, in order."""
    done = []
    monkeypatch.setenv("PREFECT_API_URL", HERE)
    monkeypatch.setattr(deployments, "_make_pool", lambda: done.append("pool"))
    monkeypatch.setattr(deployments, "_withdraw", lambda apps: done.append(apps))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done.append("deploy") or subprocess.CompletedProcess((), 0))
    return done


def test_each_servers_nights_are_remembered(prefect_yaml, monkeypatch, done):
    path = create_app("tiles", "photos", "resnet18")
    for api in (HERE, THERE):
        monkeypatch.setenv("PREFECT_API_URL", api)
        deployments.main()
        assert not changed(api)
    path.unlink()
    for api in (THERE, HERE):
        monkeypatch.setenv("PREFECT_API_URL", api)
        deployments.main()
    assert [apps for apps in done if isinstance(apps, set)] == [set(), set(), {"tiles"}, {"tiles"}]


def test_nights_are_remembered_when_deploying_is_cut_off(prefect_yaml, monkeypatch, done):
    def killed(*_, **__):
        raise KeyboardInterrupt

    path = create_app("tiles", "photos", "resnet18")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(subprocess, "run", killed)
        deployments.main()
    assert changed(HERE)
    path.unlink()
    deployments.main()
    assert done[-1] == {"tiles"}


def test_nights_that_are_no_longer_named_are_withdrawn_after_deploying(prefect_yaml, done):
    path = create_app("tiles", "photos", "resnet18")
    deployments.main()
    path.unlink()
    deployments.main()
    deployments.main()
    assert done == ["pool", "deploy", set(), "pool", "deploy", {"tiles"}]


def test_when_the_last_night_is_gone_there_is_nothing_to_deploy(prefect_yaml, done):
    deployments._remember(HERE, "before", {"tiles"})
    prefect_yaml.write_text("deployments:\n")
    deployments.main()
    assert done == ["pool", {"tiles"}]
