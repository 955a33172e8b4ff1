"""Flows need a Prefect server: a real one, as `sightline up` starts it, one for all tests."""

import pytest

from tasks import servers


@pytest.fixture(scope="session", autouse=True)
def prefect_server():
    """The address of a Prefect API with a database of its own; it ends with this process, whatever happens."""
    yield servers.ensure(say=lambda _: None, wanted=("prefect",))
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=5)  # what was logged last goes out before the server does
    EventsWorker.drain_all(timeout=5)
    servers.down(say=lambda _: None)


@pytest.fixture(autouse=True, scope="module")
def asked(prefect_server):
    """Prefect asks that server: tests of other folders, run in between, told it of others.

    Before the fixtures of a module, which run flows, too.
    """
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
