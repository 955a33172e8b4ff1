"""Calls to other programs: JSON by POST, to hosts that somebody allowed; a proxy in between was not."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from models.runtime.faults import Fault

SECONDS = 30  # for one call


class _Stay(HTTPRedirectHandler):
    """A redirect leads to where nobody allowed."""

    def redirect_request(self, *given: Any) -> None:
        return None


def post(url: str, content: dict[str, Any]) -> None:
    """Send it. Raises Fault unless the answer is one of success (2xx); a redirect is none."""
    body = json.dumps(content, ensure_ascii=False).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with build_opener(_Stay, ProxyHandler({})).open(request, timeout=SECONDS) as answer:
            if not 200 <= answer.status < 300:
                raise Fault(f"{url}: answered {answer.status}")
    except HTTPError as error:
        raise Fault(f"{url}: answered {error.code} ({error.reason})") from None
    except (OSError, HTTPException) as error:
        raise Fault(f"{url}: could not be called ({getattr(error, 'reason', error)})") from None
