"""Tokens of pages: sealed, so that nobody but this node reads or makes one, and each good for one walk only.

A token is the base64url of a nonce of 12 bytes and the AES-256-GCM encryption of a JSON object under a key derived
from the node's secret. It is sealed rather than only signed because where a walk stands says how much lies between
two pages. What a walk's token binds besides: its reader, the question, and when it ends.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fabric.visibility.reader import Reader

from .errors import PageToken

MAX_LENGTH: Final = 4_096
_NONCE: Final = 12
_LABEL: Final = b"loomark/page-token/v1\0"

Draw = Callable[[int], bytes]
"""So many random bytes."""


def sign(secret: bytes, payload: Mapping[str, Any], *, draw: Draw = os.urandom) -> str:
    """A token that holds the payload, a JSON object."""
    nonce = draw(_NONCE)
    # Without escapes the longest name that an event may have leaves a token well below its limit.
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    sealed = _cipher(secret).encrypt(nonce, text.encode(), _LABEL)
    return urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()


def read(secret: bytes, token: str) -> dict[str, Any]:
    """What a token holds. Raises PageToken where this secret did not make it."""
    try:
        if len(token) > MAX_LENGTH or not token.isascii():
            raise ValueError(token[:8])
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        # Decoding passes over characters of no alphabet: only the one spelling of a token is it.
        if urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
            raise ValueError(token[:8])
        found: dict[str, Any] = json.loads(_cipher(secret).decrypt(raw[:_NONCE], raw[_NONCE:], _LABEL))
    except (ValueError, InvalidTag):
        raise PageToken("expected a token that an earlier page gave out, got another") from None
    return found


def issue(
    secret: bytes,
    reader: Reader,
    question: bytes,
    place: Mapping[str, Any],
    expires_ms: int,
    *,
    draw: Draw = os.urandom,
) -> str:
    """The token of the next page of a walk: `place` is where it stands, `question` bytes that name what is asked."""
    bound = {"r": reader_name(reader), "q": sha256(question).hexdigest()[:32], "x": expires_ms}
    return sign(secret, {**bound, "p": dict(place)}, draw=draw)


def accept(secret: bytes, token: str, reader: Reader, question: bytes, now_ms: int) -> dict[str, Any]:
    """Where the walk of a token stands. Raises PageToken: forged, expired, another reader's, another question's.

    All but an expired one are refused with the same words: a token tells nobody what it was for.
    """
    found = read(secret, token)
    right = (reader_name(reader), sha256(question).hexdigest()[:32])
    if (found.get("r"), found.get("q")) != right or not isinstance(found.get("p"), dict):
        raise PageToken("expected a token that an earlier page gave out, got another")
    if now_ms >= found["x"]:
        raise PageToken("expected a token that has not expired, got an old one", rule="page-token-expired")
    place: dict[str, Any] = found["p"]
    return place


def reader_name(reader: Reader) -> str:
    """What a token calls its reader: in whose name it asks. What it sees may change in the course of a walk."""
    return sha256(json.dumps(reader.member).encode()).hexdigest()[:32]


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(sha256(_LABEL + secret).digest())
