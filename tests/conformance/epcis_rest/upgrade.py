"""A WebSocket client of the suite's own (RFC 6455), as far as a subscription needs one: it listens."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
from typing import Any
from urllib.parse import urlsplit

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
PATIENCE_S = 45.0


class Upgraded:
    """One connection: the answer to the handshake, and the messages after it."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        raw = socket.create_connection((parts.hostname or "", port), timeout=PATIENCE_S)
        self._socket = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname) if secure else raw
        )
        self._data = b""
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path}?{parts.query} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {nonce}",
            "Sec-WebSocket-Version: 13",
            *([f"Authorization: Bearer {key}"] if key else []),
        ]
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        self.expected = base64.b64encode(hashlib.sha1((nonce + _GUID).encode()).digest()).decode()

    def __enter__(self) -> Upgraded:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def body(self) -> bytes:
        """The body of an answer that is no upgrade."""
        return self._take(int(self.headers.get("content-length", "0")))

    def message(self) -> Any:
        """The next message as JSON; pings are answered on the way. None when the server closes."""
        text = b""
        while True:
            first, second = self._take(2)
            length = second & 127
            if length >= 126:
                (length,) = struct.unpack(
                    ">H" if length == 126 else ">Q", self._take(2 if length == 126 else 8)
                )
            payload = self._take(length)
            kind = first & 15
            if kind == CLOSE:
                return None
            if kind == PING:
                self._send(PONG, payload)
            elif kind in (0, TEXT):
                text += payload
                if first & 128:
                    return json.loads(text)

    def close(self) -> None:
        """Say goodbye as the protocol wants it."""
        self._send(CLOSE, struct.pack(">H", 1000))

    def _send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([128 | kind, 128 | len(payload)]) + mask + masked)

    def _until(self, end: bytes) -> bytes:
        while end not in self._data:
            self._more()
        head, _, self._data = self._data.partition(end)
        return head

    def _take(self, length: int) -> bytes:
        while len(self._data) < length:
            self._more()
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    def _more(self) -> None:
        part = self._socket.recv(65_536)
        if not part:
            raise ConnectionError("the server closed the connection")
        self._data += part
