"""What Prefect says of a Fault: its sentence, once. A traceback is for faults of ours, not of a user's data."""

import logging

from models.runtime.faults import Fault


def only_what_matters() -> None:
    """Filter Prefect's loggers. Filters, unlike handlers, survive its setting up the logging anew."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_once)
    # At the end of a run Prefect may wait a moment for its events to reach the server, and warns of that.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)


def _once(record: logging.LogRecord) -> bool:
    fault = record.exc_info[1] if record.exc_info else None
    if isinstance(fault, Fault):
        told = getattr(fault, "told", False)
        fault.told = True  # type: ignore[attr-defined]
        record.msg, record.args, record.exc_info, record.exc_text = str(fault), (), None, None
        return not told
    return "Fault: " not in record.getMessage()
