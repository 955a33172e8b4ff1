"""A URL is fetched from a host that was allowed, at a public address, whole, in time; else it says why not."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from models.runtime.faults import Fault
from tasks.data import urls
from tasks.data.urls import REDIRECTS, fetch, host_of, is_url

PICTURE = bytes(range(256)) * 400


class Answers(BaseHTTPRequestHandler):
    """Answers each path as a test wants it."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Host"]))
        name = self.path.strip("/").partition("?")[0]
        getattr(self, f"say_{name}", self.say_picture)()

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()

    def say_picture(self) -> None:
        self.head(Content_Length=len(PICTURE))
        self.wfile.write(PICTURE)

    def say_unsaid(self) -> None:  # without a length
        self.head()
        self.wfile.write(PICTURE)

    def say_chunked(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.head(Transfer_Encoding="chunked")
        self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    def say_half(self) -> None:
        self.head(Content_Length=len(PICTURE))
        self.wfile.write(PICTURE[:1000])

    def say_halfchunked(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.head(Transfer_Encoding="chunked")
        self.wfile.write(b"3\r\nabc\r\n20\r\nde")

    def say_nothing(self) -> None:
        self.head(Content_Length=0)

    def say_gone(self) -> None:
        self.head(404)

    def say_packed(self) -> None:
        self.head(Content_Encoding="gzip")
        self.wfile.write(PICTURE)

    def say_round(self) -> None:
        self.head(302, Location="/round")

    def say_there(self) -> None:
        self.head(301, Location="/picture?x=1")

    def say_elsewhere(self) -> None:
        self.head(307, Location=unquote(self.path.partition("?")[2]))

    def say_drip(self) -> None:
        self.head(Content_Length=len(PICTURE))
        self.drip(b"x")

    def say_drippinghead(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        self.drip(b"x")

    def drip(self, byte: bytes) -> None:
        for _ in range(100):
            try:
                self.wfile.write(byte)
                time.sleep(0.05)
            except OSError:
                return

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server on this machine that is taken for a public one; every name leads to it."""
    Answers.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        resolves(monkeypatch, lambda host: ["127.0.0.1"])
        monkeypatch.setattr(urls, "public", lambda address: address == "127.0.0.1")
        yield made
        made.shutdown()


def resolves(monkeypatch: pytest.MonkeyPatch, to: Callable[[str], list[str]]) -> list[str]:
    """Lets names lead where `to` says; the names that were asked for."""
    asked: list[str] = []

    def answer(host: str, port: int, **_: object) -> list[tuple]:
        asked.append(host)
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in to(host)]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, to(host), strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


@pytest.fixture
def no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", connect)


def at(server: ThreadingHTTPServer, path: str, host: str = "pictures.test") -> tuple[str, list[str]]:
    return f"http://{host}:{server.server_port}/{path}", [f"{host}:{server.server_port}"]


@pytest.mark.parametrize("path", ["picture", "unsaid", "there", ""])
def test_what_lies_there_is_fetched_whole(server, path):
    assert fetch(*at(server, path)) == PICTURE


def test_chunks_are_put_together(server):
    assert fetch(*at(server, "chunked")) == b"abcde"


def test_what_is_asked_for_is_encoded_and_the_host_is_named(server):
    fetch(*at(server, "picture/größe 1.png?a=ä%20b&c#d".replace(" ", "%20")))
    assert Answers.asked == [("/picture/gr%C3%B6%C3%9Fe%201.png?a=%C3%A4%20b&c", f"pictures.test:{server.server_port}")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("half", r"broke off after 1,000 of 102,400 bytes"),
        ("halfchunked", "does not answer as HTTP does"),
        ("nothing", "answers with nothing"),
        ("gone", "answers with status 404"),
        ("packed", "answers with compressed bytes"),
        ("round", f"more than {REDIRECTS} redirects"),
        ("elsewhere?ftp://pictures.test/x", "only http:// and https:// are fetched"),
        ("elsewhere?http://[x", "redirects to what is no URL"),
        ("elsewhere?http://pictures.test:1/", "its host is not allowed"),
        ("elsewhere?http://other.test/", "its host is not allowed .*Allow it with --allow-host other.test"),
        ("elsewhere?http://me:secret@pictures.test/", "a user name or password in it"),
    ],
)
def test_what_is_no_good_answer_says_why(server, path, said):
    with pytest.raises(Fault, match=said):
        fetch(*at(server, path))
    assert len(Answers.asked) == (REDIRECTS + 1 if path == "round" else 1)


def test_a_redirect_to_an_allowed_host_is_followed(server):
    (url, one), (_, two) = (
        at(server, f"elsewhere?http://other.test:{server.server_port}/picture"),
        at(server, "", "other.test"),
    )
    assert fetch(url, [*one, *two]) == PICTURE
    assert [host.partition(":")[0] for _, host in Answers.asked] == ["pictures.test", "other.test"]


def test_a_redirect_to_an_allowed_name_of_a_private_address_is_refused(server, monkeypatch):
    resolves(monkeypatch, lambda host: ["127.0.0.1" if host == "pictures.test" else "10.0.0.8"])
    url, allowed = at(server, "elsewhere?http://inside.test/")
    with pytest.raises(Fault, match=r"http://inside\.test/: leads to 10\.0\.0\.8, which is no public address"):
        fetch(url, [*allowed, "inside.test"])
    assert len(Answers.asked) == 1


@pytest.mark.parametrize("path", ["picture", "unsaid"])
def test_too_large_is_refused_by_what_is_said_and_by_what_comes(server, path):
    assert fetch(*at(server, path), most=len(PICTURE)) == PICTURE
    with pytest.raises(Fault, match="larger than the 102,399 bytes allowed"):
        fetch(*at(server, path), most=len(PICTURE) - 1)
    with pytest.raises(Fault, match="larger than the 5,000 bytes allowed"):
        fetch(*at(server, "half"), most=5000)  # says more than it sends


@pytest.mark.parametrize("path", ["drip", "drippinghead"])
def test_a_server_that_drips_is_left_in_time(server, path):
    began = time.monotonic()
    with pytest.raises(Fault, match="took longer than the time allowed"):
        fetch(*at(server, path), seconds=0.4)
    assert 0.3 < time.monotonic() - began < 2


def test_a_server_that_never_answers_is_left_in_time(monkeypatch):
    resolves(monkeypatch, lambda host: ["127.0.0.1"])
    monkeypatch.setattr(urls, "public", lambda address: True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("http", "https"):
            with pytest.raises(Fault, match="took longer than the time allowed"):
                fetch(f"{scheme}://pictures.test:{port}/", [f"pictures.test:{port}"], seconds=0.3)


def test_a_slow_name_server_is_left_in_time(monkeypatch, no_line):
    wait = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: wait.wait(5) and [])
    with pytest.raises(Fault, match="took longer than the time allowed"):
        fetch("http://pictures.test/", ["pictures.test"], seconds=0.2)
    wait.set()


def test_nobody_there_and_no_such_name(monkeypatch):
    resolves(monkeypatch, lambda host: ["127.0.0.1"])
    monkeypatch.setattr(urls, "public", lambda address: True)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Fault, match="cannot be reached"):
        fetch(f"http://pictures.test:{port}/", [f"pictures.test:{port}"])
    resolves(monkeypatch, lambda host: [])
    with pytest.raises(Fault, match="there is no host of this name"):
        fetch("http://pictures.test/", ["pictures.test"])


def test_the_next_address_is_tried_where_the_first_does_not_answer(server, monkeypatch):
    resolves(monkeypatch, lambda host: ["127.0.0.2", "127.0.0.1"])
    monkeypatch.setattr(urls, "public", lambda address: True)
    assert fetch(*at(server, "picture")) == PICTURE


def test_a_name_is_resolved_once_and_the_checked_address_connected_to(server, monkeypatch):
    answers = iter([["127.0.0.1"], ["10.0.0.8"], ["10.0.0.8"]])
    found = next(answers)
    asked = resolves(monkeypatch, lambda host: found)
    assert fetch(*at(server, "picture")) == PICTURE
    assert asked == ["pictures.test"]


def test_one_private_address_among_public_ones_is_enough(monkeypatch, no_line):
    resolves(monkeypatch, lambda host: ["8.8.8.8", "192.168.1.1"])
    with pytest.raises(Fault, match=r"leads to 192\.168\.1\.1, which is no public address"):
        fetch("https://pictures.test/", ["pictures.test"])


def test_a_proxy_of_the_environment_is_not_asked(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(*at(server, "picture")) == PICTURE


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://a.test/x", "only http:// and https:// are fetched"),
        ("file:///etc/passwd", "only http:// and https://"),
        ("http://me:secret@a.test/", r"http://…@a\.test: a URL with a user name or password in it"),
        ("http://a.test\\@b.test/", "a user name or password"),
        ("http://a.test\\.b.test/", "no host in it, or one that cannot be"),
        ("http:///x", "no host in it"),
        ("http://a..test/", "no host in it"),
        ("http://-a.test/", "no host in it"),
        ("http://a.test:99999/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://[fe80::1%25eth0]/", "no public address|not an IPv6 address|not allowed"),
        ("http://a.test/x y", "no blanks, line ends or control characters"),
        ("http://a.test/\r\nHost: b", "no blanks, line ends"),
        ("http://2130706433/", "write its address as four decimal numbers"),
        ("http://0x7f.1/", "write its address as four decimal numbers"),
        ("http://0177.0.0.1/", "write its address as four decimal numbers"),
        ("http://127.1/", "write its address as four decimal numbers"),
    ],
)
def test_what_is_no_fetchable_url_is_refused_before_a_name_is_asked(url, said, monkeypatch, no_line):
    asked = resolves(monkeypatch, lambda host: ["8.8.8.8"])
    with pytest.raises(Fault, match=said) as fault:
        fetch(url, ["a.test", "b.test", "*.b.test", "127.0.0.1"])
    assert asked == []
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize("url", ["http://localhost/", "http://LOCALHOST./", "http://127.0.0.1/", "http://[::1]/",
                                 "http://[::ffff:127.0.0.1]/", "http://①27.0.0.1/"])  # fmt: skip
def test_this_machine_is_refused_also_where_it_is_allowed(url, no_line):
    with pytest.raises(Fault, match="no public address"):
        fetch(url, ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://a.test/", ["a.test"]),
        ("https://A.Test./x", ["a.test"]),
        ("http://a.test:443/", ["A.TEST."]),
        ("http://a.test:8080/", ["a.test:8080"]),
        ("http://x.y.a.test/", ["*.a.test"]),
        ("http://bücher.test/", ["xn--bcher-kva.test"]),
        ("http://xn--bcher-kva.test/", ["bücher.test"]),
    ],
)
def test_hosts_that_are_allowed(url, allowed, monkeypatch):
    resolves(monkeypatch, lambda host: ["10.0.0.1"])
    with pytest.raises(Fault, match=r"leads to 10\.0\.0\.1"):  # so its name was asked for
        fetch(url, allowed)


@pytest.mark.parametrize(
    ("url", "allowed", "said"),
    [
        ("http://a.test/", [], r"its host is not allowed \(none is\)\. Allow it with --allow-host a\.test"),
        ("http://b.test/", ["a.test", "c.test"], r"not allowed \(allowed: a\.test, c\.test\)"),
        ("http://a.test:8080/", ["a.test"], r"Allow it with --allow-host a\.test:8080"),
        ("http://a.test/", ["a.test:8080"], "not allowed"),
        ("http://a.test/", ["*.a.test"], "not allowed"),
        ("http://xa.test/", ["*.a.test"], "not allowed"),
        ("http://a.test.evil.test/", ["a.test"], "not allowed"),
        ("http://a.test/", ["*"], r"--allow-host \*: no host in it"),
        ("http://a.test/", ["http://a.test"], "--allow-host http://a.test: give a host"),
        ("http://a.test/", ["a.test/x"], "give a host, as example.com"),
        ("http://a.test/", ["a.test:x"], "give a host, as example.com"),
    ],
)
def test_hosts_that_are_not_allowed(url, allowed, said, monkeypatch, no_line):
    asked = resolves(monkeypatch, lambda host: ["8.8.8.8"])
    with pytest.raises(Fault, match=said):
        fetch(url, allowed)
    assert asked == []


def test_a_message_does_not_repeat_a_signed_urls_secret(monkeypatch):
    resolves(monkeypatch, lambda host: ["10.0.0.1"])
    for url in ("http://a.test/x.png?signature=secret", "http://b.test/?secret"):
        with pytest.raises(Fault) as fault:
            fetch(url, ["a.test"])
        assert "secret" not in str(fault.value)


def test_which_text_is_a_url_and_what_its_host_is():
    assert [is_url(text) for text in ("http://a", "HTTPS://a", "s3://b/c")] == [True] * 3
    assert [is_url(text) for text in ("a.png", "C:\\a.png", "/a//b", "http:a.png", "://a", "a b://c")] == [False] * 6
    assert host_of("https://A.test/x?y") == host_of("http://a.test:80") == "a.test"
    assert host_of("http://a.test:8080/") == "a.test:8080"
    assert host_of("http://[2606:4700::1111]:81/") == "[2606:4700::1111]:81"
    with pytest.raises(Fault, match="only http"):
        host_of("ftp://a.test")


@pytest.fixture
def secured(server, tmp_path) -> ThreadingHTTPServer:
    """The server behind TLS, with a certificate for pictures.test that itself signed: at `tmp_path/own.pem`."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a client that hangs up is meant
    return server


def test_a_certificate_must_be_trusted_and_be_the_hosts(secured, tmp_path, monkeypatch):
    url, allowed = at(secured, "picture")
    other, also = at(secured, "picture", "other.test")
    url, other = (text.replace("http:", "https:") for text in (url, other))
    with pytest.raises(Fault, match=r"its TLS does not hold \(self-signed certificate\)"):
        fetch(url, allowed)
    monkeypatch.setattr(urls, "_trust", lambda: ssl.create_default_context(cafile=tmp_path / "own.pem"))
    assert fetch(url, allowed) == PICTURE
    with pytest.raises(Fault, match=r"its TLS does not hold .*other\.test"):
        fetch(other, also)


def test_no_tls_at_all_is_said(server):
    url, allowed = at(server, "picture")
    with pytest.raises(Fault, match="its TLS does not hold"):
        fetch(url.replace("http:", "https:"), allowed)
