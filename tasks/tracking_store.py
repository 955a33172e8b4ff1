"""MLflow's store: one SQLite file and a folder of artifacts under `.sightline/`, unless the user names another."""

import fcntl
import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from tasks.workspace import settle, state


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
    once, before the first table.
    """
    _prepare(store(), artifacts().as_uri())


@cache
def _prepare(uri: str, artifacts: str) -> None:
    if not uri.startswith("sqlite:///"):
        return  # a server, or a database of the user's own
    database = Path(uri.removeprefix("sqlite:///"))
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
    import logging

    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    noisy = [logging.getLogger(name) for name in ("alembic", "mlflow.store.db.utils")]
    levels = [logger.level for logger in noisy]
    try:
        for logger in noisy:
            logger.setLevel(logging.WARNING)
        # The store with its artifact root: else the Default experiment points to `./mlruns` of whoever is first.
        SqlAlchemyStore(uri, artifacts)
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
