"""What Prefect writes to the terminal, less what a person who runs one command does not need."""

import logging

from models.runtime.faults import Fault


def only_what_matters() -> None:
    """Drop, on the console alone, the traceback of a Fault: the command prints its sentence once, at the end."""
    from prefect.logging.configuration import setup_logging

    setup_logging()
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs"):
        for handler in logging.getLogger(name).handlers:
            if type(handler).__name__ == "PrefectConsoleHandler":
                handler.addFilter(_told_elsewhere)


def _told_elsewhere(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], Fault)) and "Fault(" not in record.getMessage()
