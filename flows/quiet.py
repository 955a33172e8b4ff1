"""What is said of a fault that is not ours: one sentence, once. A traceback is for faults of ours."""

import errno
import logging
import re
import sqlite3

from models.runtime.faults import Fault, short
from tasks.workspace import state

LONGEST = 200  # characters of a name that is quoted
# Of SQLite, by way of SQLAlchemy and MLflow too: what a disk does to a database, not what a wrong question does.
DISK = re.compile(
    r"(database or disk is full|disk I/O error|unable to open database file|attempt to write a readonly database"
    r"|database disk image is malformed|file is not a database|database is locked)"
)
BUGS = (errno.EBADF, errno.EINVAL)  # no disk, person or network does these
ENDED = ("aborted by an interrupt signal", "aborted by Python system exit call")  # the command line says it itself


def in_words(error: BaseException | None) -> str:
    """What to tell of an error that a person, the disk or the network is the cause of; empty for one of ours."""
    if isinstance(error, Fault):
        return str(error)
    database = DISK.search(str(error)) if isinstance(error, sqlite3.Error) or "(sqlite3." in str(error) else None
    if database:
        return f"a database (MLflow's, Prefect's or DVC's, in {state()} unless you named another): {database[0]}"
    if isinstance(error, OSError) and not isinstance(error, ValueError) and error.errno not in BUGS:
        words = error.strerror or str(error) or type(error).__name__
        return f"{short(str(error.filename), LONGEST)}: {words}" if error.filename else words
    return ""


def only_what_matters() -> None:
    """Filter Prefect's loggers. Filters, unlike handlers, survive its setting up the logging anew."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_once)
    # That a command's run is watched (tasks/lost.py) is no news.
    logging.getLogger("prefect.engine").addFilter(lambda record: "remember_process" not in record.getMessage())
    # At the end of a run Prefect may wait a moment for its events to reach the server, and warns of that.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)


_told: set[str] = set()  # kinds of errors: Prefect repeats each in the state that a run ends in


def _once(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if error and (words := in_words(error)):
        again = getattr(error, "told", False)
        error.told = True  # type: ignore[attr-defined]
        _told.add(f"{type(error).__name__}: ")
        record.msg, record.args, record.exc_info, record.exc_text = words, (), None, None
        return not again
    said = record.getMessage()
    return not any(words in said for words in ("Fault: ", *ENDED)) and not (
        said.startswith("Finished in state Failed(") and any(kind in said for kind in _told)
    )
