"""Which host a URL names, whether that was allowed, and which addresses are of the open internet."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from models.runtime.faults import Fault, listed, short

PORTS = {"http": 80, "https": 443}
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*")
NUMBER = re.compile(r"(\d+|0x[0-9a-f]*)")  # as the last label of a host: an address in whatever notation
# Public by `ipaddress`, and yet a way inside: protocol assignments, the relay and the prefix of 6to4, Teredo, and the
# address under which Azure's machines ask for their settings. NAT64 and mapped addresses lie outside 2000::/3.
INSIDE = [
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2002::/16", "2001::/32")
]
GLOBAL = ipaddress.ip_network("2000::/3")  # all IPv6 addresses that are handed out to be reached (RFC 4291, 2.4)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart.  host: ASCII, lower case, without brackets.  ask: path and query, percent-encoded."""

    scheme: str
    host: str
    port: int
    ask: str

    @property
    def named(self) -> str:
        """The host as `--allow-host` wants it: with its port where that is no usual one."""
        return self._with_port(self.port not in PORTS.values())

    @property
    def told(self) -> str:
        """The host as HTTP's own header wants it: with its port where that is not the scheme's."""
        return self._with_port(self.port != PORTS[self.scheme])

    def _with_port(self, named: bool) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if named else host

    def __str__(self) -> str:
        # Without the query: a signed URL has its secret there.
        return short(f"{self.scheme}://{self.named}{self.ask.partition('?')[0]}", 120)


def parsed(url: str) -> Target:
    """A URL taken apart, its host normalised.

    Raises Fault where it is none that could be fetched: another scheme than http(s), a user name or password in it,
    no host or one that cannot be, an IPv4 address in another notation than four decimal numbers.
    """
    shown = short(url.partition("?")[0] if "@" not in url else "a URL with '@'")
    if not url.isprintable() or " " in url:
        raise Fault(f"{shown!r}: a URL has no blanks, line ends or control characters in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Fault(f"{shown}: not a URL ({error})") from None
    if parts.scheme not in PORTS:
        raise Fault(f"{shown}: only http:// and https:// are fetched")
    if "@" in parts.netloc:
        raise Fault(f"{parts.scheme}://…@{short(parts.hostname or '')}: a URL with a user name or password in it")
    host = _host(parts.hostname or "", shown)
    path = quote(parts.path or "/", safe="/%:=&~+!$,;'@()*")
    query = quote(parts.query, safe="/%:=&~+!$,;'@()*?")
    return Target(
        parts.scheme, host, PORTS[parts.scheme] if port is None else port, f"{path}?{query}" if query else path
    )


def _host(given: str, shown: str) -> str:
    """A host as it is compared and asked for: ASCII, lower case, no dot at its end."""
    if ":" in given:
        try:
            return str(ipaddress.IPv6Address(given))
        except ValueError:
            raise Fault(f"{shown}: not an IPv6 address") from None
    try:
        host = given.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        host = ""
    if not NAME.fullmatch(host):
        raise Fault(f"{shown}: no host in it, or one that cannot be")
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise Fault(f"{shown}: write its address as four decimal numbers") from None
    return host


def permitted(target: Target, allowed: Collection[str]) -> None:
    """Raises Fault where no entry of a list (see `urls.fetch`) names the target's host and port, or one is no host."""
    for entry in allowed:
        below = entry.startswith("*.")
        try:
            parts = urlsplit(f"//{entry[2:] if below else entry}")
            port, host = parts.port, _host(parts.hostname or "", f"--allow-host {short(entry)}")
        except ValueError:
            parts, port, host = None, None, ""
        if parts is None or parts.netloc != parts.geturl()[2:] or "@" in parts.netloc:
            raise Fault(f"--allow-host {short(entry)}: give a host, as example.com, *.example.com or example.com:8080")
        if (target.port in PORTS.values() if port is None else target.port == port) and (
            target.host.endswith(f".{host}") if below else target.host == host
        ):
            return
    known = f"allowed: {listed(sorted(allowed))}" if allowed else "none is"
    raise Fault(f"{target}: its host is not allowed ({known}). Allow it with --allow-host {target.named}")


def public(address: str) -> bool:
    """Whether an IP address, as text, is one of the open internet: not private, local, reserved, or a way there."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    outside = ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_link_local)
    return outside and (ip.version == 4 or ip in GLOBAL) and not any(ip in network for network in INSIDE)
