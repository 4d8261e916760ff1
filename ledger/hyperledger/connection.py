"""A profile: which peer of a channel is asked, how it is known, and who asks; a TOML file (docs/operating.md).

Parsing decides everything that can be decided without the network. Paths are relative to the profile's folder. A key that
is not known is refused: a misspelt option that is silently left out could mean a smaller quorum.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from .errors import BadProfile
from .identity import X509Identity, load_identity, read_bounded, read_private

PASSPHRASE_VARIABLE: Final = "LOOMARK_HYPERLEDGER_PASSPHRASE"
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):([0-9]{1,5})")
_CHANNEL_NAME = re.compile(r"[a-z][a-z0-9.-]{0,248}")
_CHAINCODE_NAME = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Peer:
    """Where one peer is asked. Without ``tls_roots`` the connection is not protected: on loopback only.

    ``msp`` is the organisation that runs it, ``server_name`` the name in its TLS certificate where that is not the
    endpoint's host; ``client_certificate`` and ``client_key`` are there for mutual TLS, both or neither.
    """

    endpoint: str
    msp: str
    tls_roots: Path | None = None
    server_name: str | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Anchoring:
    """When a node submits its checkpoints (each ``every``-th, and after ``seconds``), and whose lines it waits for.

    ``quorum`` is how many organisations' cosignatures an anchored checkpoint needs, None for more than half of the
    registered ones; ``count_own`` says whether the node's own organisation is one of them.
    """

    every: int = 1
    seconds: float = 5.0
    quorum: int | None = None
    count_own: bool = True


@dataclass(frozen=True, slots=True)
class Followed:
    """Another organisation's log: its origin, where its node answers, and a file with an API key if it asks for one."""

    origin: str
    url: str
    api_key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """How one organisation takes part in a channel. ``peer`` is its own, ``peers`` are others' to be asked as well."""

    source: Path
    channel: str
    chaincode: str
    msp: str
    identity: Path
    peer: Peer
    peers: tuple[Peer, ...] = ()
    identity_passphrase_file: Path | None = None
    anchor: Anchoring = Anchoring()
    follow: tuple[Followed, ...] = ()

    def load_identity(self) -> X509Identity:
        """The identity that the profile names; raises :class:`BadProfile`."""
        return load_identity(self.identity, self.msp, self._passphrase())

    def _passphrase(self) -> bytes | None:
        if self.identity_passphrase_file is not None:
            return read_private(self.identity_passphrase_file, "passphrase file").rstrip(b"\r\n")
        text = os.environ.get(PASSPHRASE_VARIABLE)
        return None if text is None else text.encode()


def load_profile(path: Path) -> Profile:
    """The profile in a file; raises :class:`BadProfile`, which names the file and the key that is wrong."""
    data = read_bounded(path, "profile")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadProfile(f"{path}: expected UTF-8") from None
    return parse_profile(text, path)


def parse_profile(text: str, source: Path) -> Profile:
    """The profile of a TOML text; paths in it are relative to ``source``'s folder."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Of these, TOMLDecodeError is one; a number of thousands of digits is another.
        raise BadProfile(f"{source}: expected TOML: {error}") from None
    return _profile(_Table(source, "", table), source)


def _profile(table: _Table, source: Path) -> Profile:
    msp = table.text("msp")
    profile = Profile(
        source=source,
        channel=table.matching("channel", _CHANNEL_NAME, "a channel's name"),
        chaincode=table.matching("chaincode", _CHAINCODE_NAME, "a chaincode's name"),
        msp=msp,
        identity=table.path("identity"),
        identity_passphrase_file=table.optional_path("identity_passphrase_file"),
        peer=_peer(table.table("peer"), msp),
        peers=tuple(_peer(each, None) for each in table.tables("peers")),
        anchor=_anchoring(table.table("anchor")),
        follow=tuple(_followed(each) for each in table.tables("follow")),
    )
    table.end()
    _require_different([peer.endpoint for peer in (profile.peer, *profile.peers)], source, "endpoint")
    _require_different([followed.origin for followed in profile.follow], source, "follow.origin")
    return profile


def _peer(table: _Table, msp: str | None) -> Peer:
    peer = Peer(
        endpoint=table.matching("endpoint", _ENDPOINT, "HOST:PORT"),
        msp=table.text("msp", msp),
        tls_roots=table.optional_path("tls_roots"),
        server_name=table.optional_text("server_name"),
        client_certificate=table.optional_path("client_certificate"),
        client_key=table.optional_path("client_key"),
    )
    table.end()
    _check_peer(table, peer)
    return peer


def _check_peer(table: _Table, peer: Peer) -> None:
    host, _, port = peer.endpoint.rpartition(":")
    if not 0 < int(port) < 65_536:
        raise table.bad("endpoint", "a port of 1 to 65535", port)
    if (peer.client_certificate is None) != (peer.client_key is None):
        raise table.bad("client_key", "client_certificate and client_key together", "one of them")
    if peer.tls_roots is not None:
        return
    if peer.server_name is not None or peer.client_key is not None:
        raise table.bad("tls_roots", "the roots of the peer's TLS certificate", "none")
    # Signatures protect what is asked, but answers carry none: without TLS they are anybody's on the way.
    if host not in ("127.0.0.1", "localhost", "[::1]"):
        raise table.bad("tls_roots", "TLS for a peer beyond loopback", "none")


def _anchoring(table: _Table) -> Anchoring:
    default = Anchoring()
    anchoring = Anchoring(
        every=table.whole("every", default.every, 1, 1_000_000),
        seconds=table.number("seconds", default.seconds, 0.1, 86_400.0),
        quorum=table.whole("quorum", None, 1, 1_000),
        count_own=table.boolean("count_own", default.count_own),
    )
    table.end()
    return anchoring


def _followed(table: _Table) -> Followed:
    url = table.text("url")
    if not url.startswith(("http://", "https://")):
        raise table.bad("url", "an http or https address", url)
    followed = Followed(table.text("origin"), url.rstrip("/"), table.optional_path("api_key_file"))
    table.end()
    return followed


def _require_different(names: list[str], source: Path, key: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BadProfile(f"{source}: expected each {key} once, got {name} {names.count(name)} times")


class _Table:
    """One table of the file. What was taken out of it by name is known; `end` refuses what is left."""

    def __init__(self, source: Path, place: str, values: Mapping[str, Any]) -> None:
        self._source = source
        self._place = place
        self._left = dict(values)

    def bad(self, key: str, expected: str, got: object) -> BadProfile:
        name = f"{self._place}.{key}" if self._place else key
        return BadProfile(f"{self._source}: expected {expected} for {name}, got {got}")

    def end(self) -> None:
        for key in self._left:
            raise self.bad(key, "no such key", "one")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._left.pop(key, default)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.bad(key, "a text", "nothing" if value is None else _kind(value))
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self._left else None

    def matching(self, key: str, pattern: re.Pattern[str], expected: str) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.bad(key, expected, value)
        return value

    def path(self, key: str) -> Path:
        return self._source.parent / self.text(key)

    def optional_path(self, key: str) -> Path | None:
        return self.path(key) if key in self._left else None

    def whole(self, key: str, default: int | None, least: int, most: int) -> Any:
        value = self._left.pop(key, default)
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise self.bad(key, f"a whole number of {least} to {most}", _kind(value))
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        value = self._left.pop(key, default)
        if type(value) not in (int, float) or not least <= value <= most:
            raise self.bad(key, f"a number of {least:g} to {most:g}", _kind(value))
        return float(value)

    def boolean(self, key: str, default: bool) -> bool:
        value = self._left.pop(key, default)
        if type(value) is not bool:
            raise self.bad(key, "true or false", _kind(value))
        return value

    def table(self, key: str) -> _Table:
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise self.bad(key, f"a table [{key}]", _kind(value))
        return _Table(self._source, key, value)

    def tables(self, key: str) -> list[_Table]:
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.bad(key, f"tables [[{key}]]", _kind(value))
        return [_Table(self._source, f"{key}[{place}]", each) for place, each in enumerate(value)]


def _kind(value: object) -> str:
    return str(value) if type(value) in (int, float, bool) else f"a {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Tls:
    """What a TLS connection needs, PEM; ``certificate`` and ``key`` are the client's own, for mutual TLS."""

    roots: bytes
    certificate: bytes | None
    key: bytes | None

    @property
    def binding(self) -> bytes:
        """SHA-256 of the client's certificate (DER), which ties a request to this connection; empty without one."""
        if self.certificate is None:
            return b""
        first = x509.load_pem_x509_certificates(self.certificate)[0]
        return hashlib.sha256(first.public_bytes(Encoding.DER)).digest()


def load_tls(peer: Peer) -> Tls | None:
    """The certificates that a peer's entry names, read and checked; None where it asks for no TLS.

    Checked here because the library that speaks TLS would only ever say that it cannot connect.
    """
    if peer.tls_roots is None:
        return None
    roots = read_bounded(peer.tls_roots, "file of TLS roots")
    _certificates(roots, peer.tls_roots)
    if peer.client_certificate is None or peer.client_key is None:
        return Tls(roots, None, None)
    certificate = read_bounded(peer.client_certificate, "TLS client certificate")
    key = read_private(peer.client_key, "TLS client key")
    first = _certificates(certificate, peer.client_certificate)[0]
    try:
        fits = load_pem_private_key(key, None).public_key() == first.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fits = False
    if not fits:
        raise BadProfile(f"expected the private key of {peer.client_certificate} at {peer.client_key}, PEM")
    return Tls(roots, certificate, key)


def _certificates(data: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise BadProfile(f"expected PEM certificates at {path}") from None
