"""The servers and stores that the user's own settings name: shown without passwords, refused when they are no use."""

import os
import re
import socket
import sqlite3
from urllib.parse import SplitResult, urlsplit

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
    bare = re.sub(r"://[^/]*@", "://", url)
    if not bare.startswith("http"):  # a database's password may hold a slash
        bare = re.sub(r"://[^/:@]*:[^@]*@", "://", bare)
    return re.sub(r"(password=)[^&]*", r"\1…", bare)


def unusable(name: str, error: Exception) -> Fault:
    """What to tell of a server or store that this setting names and that does not do."""
    given = shown(os.environ.get(name, ""))
    return Fault(
        f"{name} is {short(given, LONGEST)!r}, which cannot be used ({_reason(error)}). "
        f"Start that server, correct the address, or unset {name}: then Sightline uses its own."
    )


def reach(api: str) -> str:
    """The same address. Raises Fault unless a Prefect server of the user's answers there, or it is empty."""
    if not api:
        return api
    from prefect import settings
    from prefect.client.orchestration import get_client

    once = {
        settings.PREFECT_API_URL: api,
        settings.PREFECT_API_REQUEST_TIMEOUT: LOOK_SECONDS,
        settings.PREFECT_CLIENT_MAX_RETRIES: 0,
    }
    try:
        with settings.temporary_settings(once), get_client(sync_client=True) as client:
            client.read_flow_runs(limit=1)
    except Exception as error:  # no address, no server, one of something else: each says it in its own way
        raise unusable("PREFECT_API_URL", error) from None
    return api


def place(url: str) -> str:
    """Host and port."""
    return _parts(url).netloc.replace("localhost", "127.0.0.1")


def _parts(url: str) -> SplitResult:
    """Of an address, empty ones where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def silent(url: str) -> bool:
    """Whether this is an address on this machine where nobody listens."""
    given = _parts(url)
    if given.hostname not in ("127.0.0.1", "localhost", "::1"):
        return False
    usual = 443 if given.scheme == "https" else 80
    try:
        socket.create_connection((given.hostname, given.port or usual), timeout=1.0).close()
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError):  # too busy, or no port at all: who calls it will say
        return False
    return False


def _reason(error: BaseException) -> str:
    """The first cause where it is the network, the disk or a database; else what the library says, cut."""
    chain = [error]
    while earlier := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(earlier)
    first = next((each for each in reversed(chain) if isinstance(each, OSError | sqlite3.Error)), error)
    said = getattr(first, "strerror", None) or str(first).strip() or type(first).__name__
    line = shown(said.splitlines()[0]).rstrip(".")
    return short(line, LONGEST)
