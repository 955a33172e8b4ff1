"""MLflow's store: one SQLite file and a folder of artifacts under `.sightline/`, unless the user names another."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from models.runtime.faults import Fault
from tasks.addresses import LOOK_SECONDS, unusable
from tasks.workspace import own_store, settle, state

# No second try, for as long as we look whether there is a server at all.
ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(LOOK_SECONDS)}


def store() -> str:
    """The address of MLflow's store or server, as settled: `sqlite:////…/.sightline/mlflow.db` by default."""
    settle()
    return os.environ["MLFLOW_TRACKING_URI"]


def artifacts() -> Path:
    """The folder of artifacts, the same through the server and without it."""
    return state() / "mlartifacts"


def prepare_store() -> None:
    """Create the store's tables if they are missing. Called before MLflow is used; costs nothing the second time.

    Two processes that create an MLflow store at once break it (each runs every migration), so it is done
    under a lock. MLflow leaves SQLite in `journal_mode=delete`, in which a reader blocks a writer: WAL is set
    once, before the first table. Raises Fault where the user's own server or store does not answer.
    """
    _prepare(store(), artifacts().as_uri())


@cache
def _prepare(uri: str, artifacts: str) -> None:
    if uri == own_store():
        _make(uri, artifacts)
        return
    try:
        if uri.startswith("sqlite:///"):
            _make(uri, artifacts)
        _look(uri)
    except Fault:
        raise
    except Exception as error:  # whatever MLflow, SQLAlchemy or a driver says of it
        raise unusable("MLFLOW_TRACKING_URI", error) from None


def _look(uri: str) -> None:
    """Ask the store for an experiment and a model, once and with little patience."""
    from mlflow import MlflowClient

    before = {name: os.environ.get(name) for name in ONCE}
    os.environ.update(ONCE)
    try:
        with _hushed():
            client = MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _make(uri: str, artifacts: str) -> None:
    database = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if _has_tables(database):
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _has_tables(database):
            return
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        _create(uri, artifacts)


def _has_tables(database: Path) -> bool:
    """Whether the last thing MLflow makes, its Default experiment, is there."""
    if not database.exists():
        return False
    with closing(sqlite3.connect(database, timeout=30.0)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM experiments").fetchone()[0] > 0
        except sqlite3.OperationalError:  # no such table
            return False


def _create(uri: str, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _hushed():
        # The store with its artifact root: else the Default experiment points to `./mlruns` of whoever is first.
        SqlAlchemyStore(uri, artifacts)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """MLflow tells every migration, and logs what it raises too."""
    import logging

    noisy = [logging.getLogger(name) for name in ("alembic", "mlflow.store.db.utils")]
    levels = [logger.level for logger in noisy]
    try:
        for logger in noisy:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
