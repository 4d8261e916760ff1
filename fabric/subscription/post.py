"""One delivery over HTTP/1.1 to somebody who is not trusted: to a checked address, in bounded time, no redirects.

The connection is made to the address that was checked, not to a name that may have moved since. There is one deadline
for the whole exchange, whatever the receiver does; of its answer nothing but the status and `Retry-After` is read, and
no proxy of the environment plays a part.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ledger.errors import InvalidInput

from .destination import Allowed, Resolver, Target, checked_addresses, parse_destination
from .progress import Outcome

MAX_HEAD_BYTES: Final = 65_536
_CHUNK: Final = 65_536
_CONNECT_S: Final = 10.0
_LINGER_S: Final = 1.0
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?\Z")


class Receiver(Protocol):
    """Where deliveries are sent. Safe to share by threads; each call is one attempt."""

    def post(self, dest: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """What came of POSTing `body`; never raises for anything that the receiver or the network does."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, by the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class HttpReceiver:
    """A `Receiver` at whatever addresses are `allowed`, over TLS with the system's authorities unless told others."""

    def __init__(
        self,
        allowed: Allowed,
        timeout_s: float,
        *,
        resolver: Resolver = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._context = context or ssl.create_default_context()

    def post(self, dest: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One attempt, from the look-up of the name to the receiver's status, within the time-out."""
        deadline = time.monotonic() + self._timeout_s
        try:
            target = parse_destination(dest, self._allowed)
            addresses = checked_addresses(target, self._allowed, self._resolver)
            with self._connect(target, addresses, deadline) as connection:
                return _exchange(connection, _request(target, headers, body), deadline)
        except InvalidInput as error:
            return Outcome(None, error.rule)
        except TimeoutError:
            return Outcome(None, "timed-out")
        except ssl.SSLCertVerificationError:
            return Outcome(None, "bad-certificate")
        except ssl.SSLError:
            return Outcome(None, "tls-failed")
        except (socket.gaierror, UnicodeError):
            return Outcome(None, "no-address")
        except ConnectionRefusedError:
            return Outcome(None, "connection-refused")
        except OSError:
            return Outcome(None, "connection-lost")

    def _connect(self, target: Target, addresses: Sequence[str], deadline: float) -> socket.socket:
        for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            try:
                wait_s = min(_left(deadline), _CONNECT_S)
                plain = socket.create_connection((address, target.port), wait_s)
            except OSError:
                if not left:
                    raise
                continue
            if not target.secure:
                return plain
            try:
                plain.settimeout(_left(deadline))
                return self._context.wrap_socket(plain, server_hostname=target.host)
            except BaseException:
                plain.close()
                raise
        raise OSError("the name has no address")


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.authority}"]
    sent = {"User-Agent": "Loomark", "Connection": "close", **headers, "Content-Length": str(len(body))}
    lines += [f"{name}: {value}" for name, value in sent.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _exchange(connection: socket.socket, request: bytes, deadline: float) -> Outcome:
    heard, is_over = _send(connection, request, deadline)
    while True:
        head, found, rest = heard.partition(b"\r\n\r\n")
        if found:
            status = _STATUS.match(head.partition(b"\r\n")[0])
            if status is None:
                return Outcome(None, "no-http")
            if status[1][:1] == b"1":
                heard = rest
                continue
            _hear_out(connection, head, len(rest), is_over, deadline)
            return _outcome(int(status[1]), head)
        if len(heard) > MAX_HEAD_BYTES:
            return Outcome(None, "no-http")
        if is_over:
            return Outcome(None, "connection-lost")
        connection.settimeout(_left(deadline))
        more = connection.recv(_CHUNK)
        heard, is_over = heard + more, not more


def _send(connection: socket.socket, request: bytes, deadline: float) -> tuple[bytes, bool]:
    """Send a request, or as much of it as is wanted: who refuses its size may answer, and close, before its end.

    Gives what was answered meanwhile, and whether the receiver has closed.
    """
    left = memoryview(request)
    while left:
        connection.settimeout(0)
        try:
            heard = connection.recv(_CHUNK)
            return heard, not heard
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        connection.settimeout(_left(deadline))
        try:
            left = left[connection.send(left[:_CHUNK]) :]
        except (BrokenPipeError, ConnectionResetError):
            # What was answered before may still be there to read.
            return b"", False
    return b"", False


def _hear_out(connection: socket.socket, head: bytes, heard: int, is_over: bool, deadline: float) -> None:
    """Read the rest of a short answer, so that closing on it does not look like a fault to whoever sent it."""
    length = _field(head, b"content-length")
    # A number of thousands of digits is none that is read; what it would say is more than is waited for.
    wanted = int(length) if length.isdigit() and len(length) < 20 else MAX_HEAD_BYTES
    until = min(deadline, time.monotonic() + _LINGER_S)
    try:
        while not is_over and heard < min(wanted, MAX_HEAD_BYTES):
            connection.settimeout(_left(until))
            more = connection.recv(_CHUNK)
            heard, is_over = heard + len(more), not more
    except OSError:
        # The status was heard; how the rest of the answer ends changes nothing.
        return


def _outcome(status: int, head: bytes) -> Outcome:
    after = _field(head, b"retry-after")
    return Outcome(status, f"status-{status}", float(after) if after.isdigit() and len(after) < 8 else None)


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return b""


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time is left")
    return left
