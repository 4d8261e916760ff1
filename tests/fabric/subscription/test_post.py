"""One attempt over real sockets: what a receiver may do, and what comes of it, in bounded time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fabric.subscription.destination import Allowed, parse_allowed
from fabric.subscription.post import HttpReceiver
from fabric.subscription.progress import Outcome

from .receiver import Receiver

LOOPBACK = parse_allowed("127.0.0.0/8, ::1, hooks.example.com")
HEADERS = {"Content-Type": "application/json", "Loomark-Delivery": "name"}


def receiver(
    timeout_s: float = 30.0, allowed: Allowed = LOOPBACK, addresses: Sequence[str] = ("127.0.0.1",)
) -> HttpReceiver:
    return HttpReceiver(allowed, timeout_s, resolver=lambda _host, _port: addresses)


@contextmanager
def scripted(*plays: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server whose n-th connection is played by the n-th of these; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            for play in plays:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        play(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"


def says(answer: bytes) -> Callable[[socket.socket], None]:
    def play(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    return play


def test_a_receiver_gets_the_body_and_headers_as_they_are() -> None:
    with Receiver() as there:
        outcome = receiver().post(f"{there.url}?a=b", HEADERS, b'{"a":1}')
        heard = there.heard[0]
    assert outcome == Outcome(200, "status-200")
    assert outcome.is_taken
    assert (heard.path, heard.body) == ("/events?a=b", b'{"a":1}')
    assert heard.headers["host"] == f"127.0.0.1:{there.port}"
    assert heard.headers["loomark-delivery"] == "name"
    assert heard.headers["connection"] == "close"


@pytest.mark.parametrize(
    "status", [201, 204, 299, 301, 302, 307, 308, 400, 401, 404, 410, 413, 415, 500, 503]
)
def test_a_status_is_the_outcome_and_no_redirect_is_followed(status: int) -> None:
    with Receiver(lambda _: status) as there:
        outcome = receiver().post(there.url, HEADERS, b"{}")
        assert [one.path for one in there.heard] == ["/events"]
    assert (outcome.status, outcome.reason) == (status, f"status-{status}")
    assert outcome.is_taken == (status < 300)


def test_the_checked_address_is_connected_to_whatever_the_name_says_later() -> None:
    """A name is looked up once an attempt: what it answers the second time leads nowhere."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.6.6.6"]

    with Receiver() as there:
        url = there.url.replace("127.0.0.1", "hooks.example.com")
        outcome = HttpReceiver(LOOPBACK, 30.0, resolver=rebinding).post(url, HEADERS, b"{}")
        assert there.heard[0].headers["host"] == f"hooks.example.com:{there.port}"
    assert outcome.is_taken
    assert asked == ["hooks.example.com"]


def test_a_name_that_leads_here_is_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://client.example.com:{listener.getsockname()[1]}/x"
        outcome = receiver(allowed=Allowed()).post(url, HEADERS, b"{}")
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert outcome == Outcome(None, "destination-refused")


def test_the_next_address_is_tried_where_nobody_listens() -> None:
    with Receiver() as there:
        url = there.url.replace("127.0.0.1", "hooks.example.com")
        assert receiver(addresses=("127.0.0.9", "127.0.0.1")).post(url, HEADERS, b"{}").is_taken


def test_what_has_no_address_or_nobody_behind_it_is_said() -> None:
    def away(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    url = "http://hooks.example.com/x"
    assert HttpReceiver(LOOPBACK, 5.0, resolver=away).post(url, HEADERS, b"") == Outcome(None, "no-address")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = receiver().post(f"http://127.0.0.1:{port}/x", HEADERS, b"")
    assert outcome == Outcome(None, "connection-refused")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", Outcome(200, "status-200")),
        (b"HTTP/1.0 204\r\n\r\n", Outcome(204, "status-204")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Yes\r\n\r\n", Outcome(202, "status-202")),
        (b"HTTP/1.1 503 No\r\nRETRY-AFTER: 17\r\n\r\n", Outcome(503, "status-503", 17.0)),
        (b"HTTP/1.1 503 No\r\nRetry-After: soon\r\n\r\n", Outcome(503, "status-503")),
        (b"HTTP/1.1 503 No\r\nRetry-After: 99999999999\r\n\r\n", Outcome(503, "status-503")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", Outcome(200, "status-200")),
        (b"HTTP/2 200\r\n\r\n", Outcome(None, "no-http")),
        (b"HTTP/1.1 2000 OK\r\n\r\n", Outcome(None, "no-http")),
        (b"HTTP/1.1 20 OK\r\n\r\n", Outcome(None, "no-http")),
        (b"\r\n\r\n", Outcome(None, "no-http")),
        (b"<html>" * 100 + b"\r\n\r\n", Outcome(None, "no-http")),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 80_000, Outcome(None, "no-http")),
        (b"HTTP/1.1 200 OK\r\nA: b", Outcome(None, "connection-lost")),
        (b"", Outcome(None, "connection-lost")),
    ],
)
def test_an_answer_is_read_as_far_as_it_is_http(answer: bytes, expected: Outcome) -> None:
    with scripted(says(answer)) as url:
        assert receiver().post(url, HEADERS, b"{}") == expected


def test_a_receiver_that_answers_before_the_end_of_the_body_is_heard() -> None:
    """Whoever refuses the size may say so, and close, without having read it."""

    def play(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.3)

    with scripted(play) as url:
        assert receiver().post(url, HEADERS, b"a" * 30_000_000).status == 413


@pytest.mark.parametrize("sort", ["silent", "dripping", "not-reading", "slow-head"])
def test_whatever_a_receiver_does_there_is_an_end(sort: str) -> None:
    over = threading.Event()

    def play(connection: socket.socket) -> None:
        if sort != "not-reading":
            connection.recv(65_536)
        if sort in ("dripping", "slow-head"):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" if sort == "slow-head" else b"HT")
        while not over.wait(0.05):
            if sort in ("dripping", "slow-head"):
                connection.sendall(b"a")

    with scripted(play) as url:
        started = time.monotonic()
        outcome = receiver(timeout_s=1.0).post(url, HEADERS, b"a" * 30_000_000)
        took_s = time.monotonic() - started
        over.set()
    assert outcome == Outcome(None, "timed-out")
    assert took_s >= 0.9


def test_a_long_answer_is_not_waited_for() -> None:
    over = threading.Event()

    def play(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while not over.wait(0.01):
            connection.sendall(b"a" * 1000)

    with scripted(play) as url:
        assert receiver(timeout_s=30.0).post(url, HEADERS, b"{}").is_taken
        over.set()


@contextmanager
def tls_server(folder: Path, name: str) -> Iterator[tuple[int, ssl.SSLContext]]:
    """A TLS server with a certificate for `name`; its port, and a context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.7"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    trusting = ssl.create_default_context(cadata=pem.decode())

    def play(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65_536)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with scripted(play, play) as url:
        yield int(url.rpartition(":")[2].partition("/")[0]), trusting


def test_a_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    with tls_server(tmp_path, "hooks.example.com") as (port, trusting):
        sender = HttpReceiver(LOOPBACK, 30.0, resolver=lambda _h, _p: ["127.0.0.1"], context=trusting)
        assert sender.post(f"https://hooks.example.com:{port}/x", HEADERS, b"{}").is_taken
        outcome = sender.post(f"https://127.0.0.1:{port}/x", HEADERS, b"{}")
    assert outcome == Outcome(None, "bad-certificate")


def test_an_authority_that_nobody_knows_is_not_trusted(tmp_path: Path) -> None:
    with tls_server(tmp_path, "hooks.example.com") as (port, _):
        outcome = receiver().post(f"https://hooks.example.com:{port}/x", HEADERS, b"{}")
    assert outcome == Outcome(None, "bad-certificate")


def test_a_receiver_without_tls_is_not_spoken_to_in_the_clear() -> None:
    with scripted(says(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
        outcome = receiver(timeout_s=5.0).post(url.replace("http:", "https:"), HEADERS, b"{}")
    assert outcome == Outcome(None, "tls-failed")
