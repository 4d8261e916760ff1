"""Statements: every signed fact about the consortium, as JCS payload in a DSSE envelope.

docs/spec/statement.md defines each kind. The parser is strict to the byte: an envelope is accepted only
in its canonical bytes, and so is the payload inside it. An :class:`UnverifiedEnvelope` is well-formed, no more;
whether its signers may state it is decided by :meth:`ledger.registry.Registry.authorise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from . import ed25519, shape
from .canonical import JSON, canonical, parse_json
from .errors import InvalidInput, TooLarge
from .identifier import read_parties
from .merkle import EMPTY_ROOT

PAYLOAD_TYPE = "application/vnd.loomark.statement.v1+json"
STATEMENT_VERSION = 1
MAX_PAYLOAD_BYTES = 32_768
MAX_ENVELOPE_BYTES = 65_535
MAX_SIGNATURES = 32
MAX_ANNOUNCEMENT = 8_192

REGISTRY_KINDS = frozenset({"charter", "member", "key", "role", "delegation"})
KINDS = REGISTRY_KINDS | {"capture", "link", "agreement", "recall", "erasure"}
ROLES = frozenset({"operator", "member", "auditor", "recall"})
GRANTED_ROLES = ROLES - {"operator"}

_HEAD = frozenset({"type", "v", "log", "member", "key", "id", "issued", "seen"})
_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"keyid", "sig"})
_PAE = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} ".encode()
_FIRST_SEEN = (0, EMPTY_ROOT)

Body = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's payload. ``issued`` is its UTC text, ``seen`` the (size, root) its signer had verified.

    ``body`` holds the members that belong to the kind, in the JSON form of docs/spec/statement.md.
    """

    type: str
    log: str
    member: str
    key: str
    id: str
    issued: str
    seen: tuple[int, bytes]
    body: Body

    @property
    def is_registry(self) -> bool:
        """Whether the statement changes the registry."""
        return self.type in REGISTRY_KINDS

    def as_json(self) -> dict[str, JSON]:
        """The payload as a JSON object."""
        return {
            "type": self.type,
            "v": STATEMENT_VERSION,
            "log": self.log,
            "member": self.member,
            "key": self.key,
            "id": self.id,
            "issued": self.issued,
            "seen": [self.seen[0], self.seen[1].hex()],
            **self.body,
        }


@dataclass(frozen=True, slots=True)
class UnverifiedEnvelope:
    """A well-formed envelope: its bytes (the log entry), its payload and statement, (keyid, signature) pairs."""

    data: bytes
    payload: bytes
    statement: Statement
    signatures: tuple[tuple[str, bytes], ...]

    @property
    def keyids(self) -> frozenset[str]:
        """The keyids that claim to have signed."""
        return frozenset([keyid for keyid, _ in self.signatures])


def payload_bytes(statement: Statement) -> bytes:
    """The JCS bytes that are signed; refuses what :func:`parse_statement` would refuse."""
    payload = canonical(statement.as_json())
    parse_statement(payload)
    return payload


def pre_authentication(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of a statement payload: the bytes that signatures cover."""
    return b"%b%d %b" % (_PAE, len(payload), payload)


def sign_statement(payload: bytes, keys: Sequence[ed25519.Signer]) -> bytes:
    """The canonical envelope of a payload with one signature by each key."""
    message = pre_authentication(payload)
    signed = {ed25519.key_id(key.public_bytes): key.sign(message) for key in keys}
    return envelope_bytes(payload, signed)


def envelope_bytes(payload: bytes, signatures: Mapping[str, bytes]) -> bytes:
    """The canonical envelope of a payload with signatures by keyid."""
    lines = [{"keyid": keyid, "sig": shape.base64_text(signatures[keyid])} for keyid in sorted(signatures)]
    return canonical(
        {"payload": shape.base64_text(payload), "payloadType": PAYLOAD_TYPE, "signatures": lines}
    )


def parse_envelope(data: bytes) -> UnverifiedEnvelope:
    """The envelope of these bytes.

    Raises :class:`InvalidInput` for any other spelling than the canonical one and :class:`TooLarge` beyond
    65,535 bytes or a payload of 32,768.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise TooLarge(f"expected an envelope of at most {MAX_ENVELOPE_BYTES} bytes", rule="entry-too-large")
    envelope = envelope_of(parse_json(data))
    if envelope.data != data:
        raise InvalidInput(
            "expected the envelope in canonical JSON, got another spelling", rule="not-canonical"
        )
    return envelope


def envelope_of(value: JSON) -> UnverifiedEnvelope:
    """The envelope of a parsed JSON value, as a bundle or a submission carries it."""
    obj = shape.members(value, "envelope", _ENVELOPE)
    if obj["payloadType"] != PAYLOAD_TYPE:
        raise InvalidInput(
            f"expected payloadType {PAYLOAD_TYPE}, got another", rule="bad-envelope", pointer="/payloadType"
        )
    payload = shape.base64_bytes(obj["payload"], "payload")
    listed = shape.array(obj["signatures"], "signatures", 1, MAX_SIGNATURES)
    signatures = [_signature(item, number) for number, item in enumerate(listed)]
    if any(left[0] >= right[0] for left, right in pairwise(signatures)):
        raise InvalidInput(
            "expected one signature a key, sorted by keyid", rule="bad-envelope", pointer="/signatures"
        )
    data = canonical(obj)
    if len(data) > MAX_ENVELOPE_BYTES:
        raise TooLarge(f"expected an envelope of at most {MAX_ENVELOPE_BYTES} bytes", rule="entry-too-large")
    with shape.Within("/payload", whole=True):
        statement = parse_statement(payload)
    return UnverifiedEnvelope(data, payload, statement, tuple(signatures))


def parse_statement(payload: bytes) -> Statement:
    """The statement of a payload in canonical JSON, with the members its kind asks for and no others."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"expected a payload of at most {MAX_PAYLOAD_BYTES} bytes", rule="payload-too-large")
    value = parse_json(payload)
    if type(value) is not dict:
        raise InvalidInput("expected a statement object", rule="bad-shape")
    statement = _statement(value)
    if canonical(value) != payload:
        raise InvalidInput(
            "expected the payload in canonical JSON, got another spelling", rule="not-canonical"
        )
    return statement


def verify_signatures(envelope: UnverifiedEnvelope, keys: Mapping[str, bytes]) -> None:
    """Check every signature of the envelope under the raw keys given by keyid.

    Raises :class:`InvalidInput` with rule ``unknown-key`` or ``bad-signature``.
    """
    message = pre_authentication(envelope.payload)
    for keyid, signature in envelope.signatures:
        if keyid not in keys:
            raise InvalidInput(f"expected a key that is known, got {keyid}", rule="unknown-key")
        if not ed25519.verify(keys[keyid], message, signature):
            raise InvalidInput(f"expected a valid signature by {keyid}, got another", rule="bad-signature")


def _signature(value: JSON, number: int) -> tuple[str, bytes]:
    with shape.Within(f"/signatures/{number}"):
        obj = shape.members(value, "signature", _SIGNATURE)
        return shape.hex_text(obj["keyid"], "keyid"), shape.base64_bytes(obj["sig"], "sig", 64)


def _statement(value: dict[str, JSON]) -> Statement:
    kind = shape.choice(value.get("type"), "type", KINDS)
    body = {name: item for name, item in value.items() if name not in _HEAD}
    shape.members({name: value[name] for name in value.keys() & _HEAD}, "statement", _HEAD)
    if type(value["v"]) is not int or value["v"] != STATEMENT_VERSION:
        raise InvalidInput(f"expected version {STATEMENT_VERSION}, got another", rule="bad-version")
    shape.time_ms(value["issued"], "issued")
    seen = _seen(kind, value["seen"])
    _BODIES[kind](body)
    return Statement(
        kind,
        shape.text(value["log"], "log", 512),
        shape.member_name(value["member"], "member"),
        shape.hex_text(value["key"], "key"),
        shape.hex_text(value["id"], "id", 16),
        value["issued"],
        seen,
        body,
    )


def _seen(kind: str, value: JSON) -> tuple[int, bytes]:
    seen = shape.tree_head(value, "seen")
    if kind == "charter" and seen != _FIRST_SEEN:
        raise InvalidInput("expected the charter to have seen the empty log", rule="bad-seen")
    # A signer that has verified no checkpoint yet has seen the empty log; size 1 is never published.
    if seen[0] < 2 and seen != _FIRST_SEEN:
        raise InvalidInput("expected a published size with its root, got another", rule="bad-seen")
    return seen


def _commitment(body: Body) -> None:
    shape.members(body, "statement", frozenset({"commitment"}))
    shape.hex_bytes(body["commitment"], "commitment")


def _parties_and_commitment(body: Body, minimum: int = 1) -> None:
    shape.members(body, "statement", frozenset({"parties", "commitment"}))
    shape.hex_bytes(body["commitment"], "commitment")
    _member_list(body["parties"], "parties", minimum)


def _member_list(value: JSON, where: str, minimum: int) -> None:
    names = [shape.member_name(item, where) for item in shape.array(value, where, minimum, 1_024)]
    if names != sorted(set(names)):
        raise InvalidInput(
            f"{where}: expected each member once, sorted", rule="bad-shape", pointer=f"/{where}"
        )


def _charter(body: Body) -> None:
    shape.members(body, "charter", frozenset({"name", "vkey", "operatorKeys", "signatures", "bundles"}))
    shape.text(body["name"], "name", 256)
    shape.text(body["vkey"], "vkey", 1_024)
    for line in shape.array(body["operatorKeys"], "operatorKeys", 1, 16):
        shape.text(line, "operatorKeys", 256)
    shape.choice(body["bundles"], "bundles", frozenset({"members", "public"}))
    read_signature_rules(body["signatures"])


def read_signature_rules(value: JSON) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The charter's ``signatures``: for each kind the alternatives, each a set of signers that suffices."""
    kinds = KINDS - {"charter"}
    obj = shape.members(value, "signatures", kinds)
    return {
        kind: tuple([_alternative(item) for item in shape.array(obj[kind], kind, 1, 8)]) for kind in kinds
    }


def _alternative(value: JSON) -> tuple[str, ...]:
    words = [shape.choice(word, "signatures", SIGNERS) for word in shape.array(value, "signatures", 1, 4)]
    if words != sorted(set(words)):
        raise InvalidInput("signatures: expected each signer once, sorted", rule="bad-shape")
    return tuple(words)


SIGNERS = frozenset({"operator", "member", "service", "parties"})


def _member(body: Body) -> None:
    optional = frozenset({"name", "publicKey", "delegation", "parties", "roles"})
    shape.members(body, "member", frozenset({"subject"}), optional)
    shape.member_name(body["subject"], "subject")
    if "name" in body:
        shape.text(body["name"], "name", 256)
    if "publicKey" in body:
        shape.text(body["publicKey"], "publicKey", 256)
    if "delegation" in body:
        with shape.Within("/delegation"):
            _service(shape.members(body["delegation"], "delegation", frozenset({"service", "until"})))
    if "parties" in body:
        read_parties(body["parties"])
    if "roles" in body:
        _role_list(body["roles"])


def _role_list(value: JSON) -> None:
    roles = [shape.choice(item, "roles", GRANTED_ROLES) for item in shape.array(value, "roles", 1, 3)]
    if roles != sorted(set(roles)):
        raise InvalidInput("roles: expected each role once, sorted", rule="bad-shape", pointer="/roles")


def _key(body: Body) -> None:
    action = shape.choice(body.get("action"), "action", frozenset({"rotate", "revoke", "log"}))
    if action == "log":
        shape.members(body, "key", frozenset({"action", "announcement"}))
        shape.text(body["announcement"], "announcement", MAX_ANNOUNCEMENT)
        return
    if action == "rotate":
        shape.members(body, "key", frozenset({"action", "publicKey"}))
        shape.text(body["publicKey"], "publicKey", 256)
        return
    shape.members(body, "key", frozenset({"action", "target"}), frozenset({"since"}))
    shape.hex_bytes(body["target"], "target")
    if "since" in body:
        shape.count(body["since"], "since")


def _role(body: Body) -> None:
    shape.members(body, "role", frozenset({"grantee", "role", "for", "until"}))
    shape.member_name(body["grantee"], "grantee")
    shape.choice(body["role"], "role", GRANTED_ROLES)
    if body["for"] != "all":
        _member_list(body["for"], "for", 1)
    if body["until"] is not None:
        shape.time_ms(body["until"], "until")


def _service(body: Body) -> None:
    shape.members(body, "delegation", frozenset({"service", "until"}))
    shape.text(body["service"], "service", 256)
    shape.time_ms(body["until"], "until")


_BODIES: dict[str, Callable[[Body], None]] = {
    "charter": _charter,
    "member": _member,
    "key": _key,
    "role": _role,
    "delegation": _service,
    "capture": _commitment,
    "link": _parties_and_commitment,
    "agreement": partial(_parties_and_commitment, minimum=2),
    "recall": _parties_and_commitment,
    "erasure": _parties_and_commitment,
}

DEFAULT_SIGNATURES: Mapping[str, list[list[str]]] = {
    "member": [["operator"]],
    "key": [["member"], ["operator"]],
    "role": [["operator"]],
    "delegation": [["member"]],
    "capture": [["member"], ["service"]],
    "link": [["member"], ["service"]],
    "agreement": [["parties"]],
    "recall": [["member"], ["service"]],
    "erasure": [["member"], ["service"]],
}
"""The ``signatures`` that a charter states unless its consortium decides otherwise."""
