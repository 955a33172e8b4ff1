"""One server in this process, on a socket that is listening already: `python -m tasks.serve prefect 5`.

The supervisor holds the socket: no other program can take the port between two starts, and who calls while
a server starts again waits instead of being refused. The servers are run as the libraries they are; their
own commands cost more (measured from cold: `prefect server start` 13 s, this 12 s; `mlflow server` keeps
a second process with all of MLflow in it, 197 MB and 6.8 s of CPU for nothing).
"""

import os
import socket
import sys
import warnings
from typing import Any

from tasks.tracking_store import artifacts, prepare_store, store


def prefect() -> Any:
    """The Prefect server's application: API, UI, schedules."""
    from prefect.server.api.server import create_app

    return create_app(final=True)


def mlflow() -> Any:
    """The MLflow server's application over the workspace's store. Artifacts are files, read where they lie."""
    from mlflow.server import constants

    # Of MLflow's own choice of a bridge to Flask: https://github.com/mlflow/mlflow/blob/master/mlflow/server/fastapi_app.py
    warnings.filterwarnings("ignore", "starlette.middleware.wsgi is deprecated")
    prepare_store()
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = store()
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = artifacts().as_uri()
    from mlflow.server.fastapi_app import app

    return app


SERVERS = {"prefect": prefect, "mlflow": mlflow}

# Prefect's pages ask sr-client-cfg.amplitude.com for instructions although analytics are off (seen in 3.8.8).
# With this header the browser talks to this machine alone, whatever a page wants.
HERE = "http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:*"
POLICY = f"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: {HERE}".encode()


def at_home(app: Any) -> Any:
    """The same application, with a header that keeps its pages from calling any other machine."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"content-security-policy", POLICY)]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, with_policy if scope["type"] == "http" else send)

    return guarded


def main() -> None:
    """Serve until told to stop."""
    import uvicorn

    name, descriptor = sys.argv[1:]
    listening = socket.socket(fileno=int(descriptor))
    config = uvicorn.Config(
        at_home(SERVERS[name]()),
        log_level="warning",
        timeout_graceful_shutdown=3,  # a browser's open connection must not hold up `sightline down`
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
