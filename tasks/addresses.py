"""The servers and stores that the user's own settings name: shown without passwords, refused when they are no use."""

import os
import re
import sqlite3

from models.runtime.faults import Fault, short

ADDRESSES = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")  # the settings that say whose servers are used
# Of the one look before the work begins. A server may take some seconds for its first answer; left alone,
# MLflow tries a server that is not there for four minutes.
LOOK_SECONDS = 10
LONGEST = 200  # characters of somebody else's words


def addresses() -> dict[str, str]:
    """Whose servers this process's settings name, to show and to compare; empty: not set."""
    return {name: shown(os.environ.get(name, "")) for name in ADDRESSES}


def shown(url: str) -> str:
    """An address without the name and password in it: with those a server may be called, with this it may not."""
    return re.sub(r"://[^/]*@", "://", url)


def unusable(name: str, error: Exception) -> Fault:
    """What to tell of a server or store that this setting names and that does not do."""
    given = shown(os.environ.get(name, ""))
    return Fault(
        f"{name} is {short(given, LONGEST)!r}, which cannot be used ({_reason(error)}). "
        f"Start that server, correct the address, or unset {name}: then Sightline uses its own."
    )


def _reason(error: BaseException) -> str:
    """The first cause where it is the network, the disk or a database; else what the library says, cut."""
    chain = [error]
    while earlier := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(earlier)
    outside = any(isinstance(each, OSError | sqlite3.Error) for each in chain)
    first = chain[-1] if outside else error
    said = getattr(first, "strerror", None) or str(first).strip() or type(first).__name__
    line = shown(said.splitlines()[0]).rstrip(".")
    return short(line, LONGEST)
