"""Pictures from http(s) addresses: only from hosts that were allowed by name, and never from inside the own network.

A URL comes with the data, so it is not believed: a host must be on the list, all addresses that its name resolves to
must be public ones, and the connection is made to a checked address itself, so that a second answer of the name server
cannot lead elsewhere. The same holds for each redirect. Proxies of the environment are ignored: a proxy would resolve
the name again, where nobody checks it.
"""

from __future__ import annotations

import http.client
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from urllib.parse import urljoin

from models.runtime.faults import Fault
from tasks.data.hosts import Target, parsed, permitted, public

MOST_BYTES = 50_000_000  # of one answer
SECONDS = 20.0  # for one URL altogether: names, redirects and the last byte
REDIRECTS = 5
MOVED = {301, 302, 303, 307, 308}
PIECE = 65_536  # bytes read at a time
HEADERS = {"User-Agent": "sightline", "Accept": "image/*", "Accept-Encoding": "identity", "Connection": "close"}


def is_url(text: str) -> bool:
    """Whether a person means a URL and no file: it begins with a scheme and `://`."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def host_of(url: str) -> str:
    """The host of an http(s) URL as `--allow-host` wants it, with its port where that is neither 80 nor 443.

    Raises Fault where it is no such URL.
    """
    return parsed(url).named


def fetch(url: str, allowed: Collection[str], most: int = MOST_BYTES, seconds: float = SECONDS) -> bytes:
    """What lies at an http(s) URL, bytes, never empty.

    allowed: hosts (`example.com`, ports 80 and 443), hosts with another port (`example.com:8080`), or all hosts below
    one (`*.example.com`, not itself); the case is ignored.  most: bytes.  seconds: altogether, redirects included.
    Raises Fault where the host is not allowed or resolves to an address that is not public, likewise after each of at
    most REDIRECTS redirects; where credentials stand in the URL; and where the answer is not 200, empty, compressed,
    too large, too slow, broken off, or its TLS does not hold.
    """
    deadline = time.monotonic() + seconds
    for _ in range(REDIRECTS + 1):
        target = parsed(url)
        permitted(target, allowed)
        try:
            found = _asked(target, most, deadline)
        except (OSError, http.client.HTTPException) as error:
            _in_time(target, deadline)
            raise Fault(f"{target}: {_failed(error)}") from error
        if isinstance(found, bytes):
            return found
        try:
            url = urljoin(url, found)
        except ValueError:
            raise Fault(f"{target}: redirects to what is no URL") from None
    raise Fault(f"{target}: more than {REDIRECTS} redirects")


def _addresses(target: Target, deadline: float) -> list[tuple]:
    """Where a host's name leads, as `getaddrinfo` says it; all of it public, else Fault."""
    answer: queue.SimpleQueue[list[tuple] | OSError | UnicodeError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answer.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=resolve, daemon=True).start()  # the system's resolver knows no time limit
    try:
        found = answer.get(timeout=max(deadline - time.monotonic(), 0))
    except queue.Empty:
        raise TimeoutError from None
    if not isinstance(found, list) or not found:
        raise Fault(f"{target}: there is no host of this name, or no way to ask for it")
    for *_, place in found:
        if not public(place[0]):
            raise Fault(f"{target}: leads to {place[0]}, which is no public address; such ones are never fetched from")
    return found


def _asked(target: Target, most: int, deadline: float) -> bytes | str:
    """The answer of one host: the bytes, or where it redirects to."""
    with closing(_connected(target, deadline)) as line, _cut_at(line, deadline):
        wire = line
        if target.scheme == "https":
            wire = _trust().wrap_socket(line, server_hostname=target.host)
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock, connection.auto_open = wire, 0  # the checked one, and never another
        with closing(wire), closing(connection):
            connection.request("GET", target.ask, headers=HEADERS | {"Host": target.told})
            with connection.getresponse() as response:
                if response.status in MOVED and response.headers.get("Location"):
                    return response.headers["Location"]
                if response.status != 200:
                    raise Fault(f"{target}: answers with status {response.status}")
                return _read(target, response, most, deadline)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()  # the system's authorities; the name in the certificate must be the host's


def _connected(target: Target, deadline: float) -> socket.socket:
    """A socket to the first of a host's addresses that answers; whatever it does later ends at the deadline."""
    failed: OSError = TimeoutError()
    for family, kind, protocol, _, place in _addresses(target, deadline):
        _in_time(target, deadline)
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(max(deadline - time.monotonic(), 0.001))
            line.connect(place)
        except OSError as error:
            line.close()
            failed = error
        else:
            return line
    raise failed


@contextmanager
def _cut_at(line: socket.socket, deadline: float) -> Iterator[None]:
    """Ends a connection at the deadline. A socket's own limit is for each read: a byte a second would pass under it."""
    same = line.dup()

    def cut() -> None:
        with suppress(OSError):  # it has ended by itself
            same.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        same.close()


def _read(target: Target, response: http.client.HTTPResponse, most: int, deadline: float) -> bytes:
    """The whole body, or Fault."""
    expected = response.length
    too_large = Fault(f"{target}: larger than the {most:,} bytes allowed")
    if (expected or 0) > most:
        raise too_large
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Fault(f"{target}: answers with compressed bytes, which were not asked for")
    content = bytearray()
    while piece := response.read1(min(PIECE, most + 1)):
        content += piece
        if len(content) > most:
            raise too_large
    _in_time(target, deadline)
    if len(content) < (expected or 0):
        raise Fault(f"{target}: broke off after {len(content):,} of {expected:,} bytes")
    if not content:
        raise Fault(f"{target}: answers with nothing")
    return bytes(content)


def _in_time(target: Target, deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise Fault(f"{target}: took longer than the time allowed")


def _failed(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"its TLS does not hold ({getattr(error, 'verify_message', '') or error.reason or error})"
    if isinstance(error, TimeoutError):
        return "took longer than the time allowed"
    if isinstance(error, http.client.HTTPException):
        return f"does not answer as HTTP does ({type(error).__name__})"
    return f"cannot be reached ({error.strerror or error})" if isinstance(error, OSError) else str(error)
