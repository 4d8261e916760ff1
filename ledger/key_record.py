"""Key records: what the registry says of one key, as the leaf of the registry tree (``loomark/registry/v1``)."""

from __future__ import annotations

from dataclasses import dataclass

from . import shape
from .canonical import JSON, canonical
from .ed25519 import key_id
from .errors import Forbidden, InvalidInput
from .statement import ROLES

REGISTRY = "loomark/registry/v1"
USES = frozenset({"operator", "member", "service"})
STATES = frozenset({"active", "retired", "revoked"})
_MEMBERS = frozenset(
    {"key", "member", "party", "use", "roles", "state", "since", "until", "by", "disputedFrom"}
)

USES_FOR = {
    "charter": frozenset({"operator"}),
    "member": frozenset({"operator"}),
    "key": frozenset({"operator", "member"}),
    "role": frozenset({"operator"}),
    "delegation": frozenset({"member"}),
    "capture": frozenset({"member", "service"}),
    "link": frozenset({"member", "service"}),
    "agreement": frozenset({"member"}),
    "recall": frozenset({"member", "service"}),
    "erasure": frozenset({"member", "service"}),
}
"""The uses of a key that may sign a kind of statement; a charter may narrow this, never widen it."""

ROLE_FOR = {
    "charter": "operator",
    "member": "operator",
    "role": "operator",
    "capture": "member",
    "link": "member",
    "agreement": "member",
    "recall": "recall",
    "erasure": "member",
}
"""The role that a signer's record must have for a kind; key and delegation statements need none."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key as the registry knows it.

    ``key`` is raw, ``member`` in whose name it signs, ``party`` who holds it; ``since`` and ``by`` are the indices
    of the first and the last statement about it, ``until`` a UTC time or None, ``disputed_from`` an index or None.
    """

    key: bytes
    member: str
    party: str
    use: str
    roles: tuple[str, ...]
    state: str
    since: int
    until: str | None
    by: int
    disputed_from: int | None

    @property
    def keyid(self) -> str:
        """The keyid: hex SHA-256 of the raw key."""
        return key_id(self.key)

    def as_json(self) -> list[JSON]:
        """The record as the array that is hashed."""
        body = {
            "key": shape.base64_text(self.key),
            "member": self.member,
            "party": self.party,
            "use": self.use,
            "roles": list(self.roles),
            "state": self.state,
            "since": self.since,
            "until": self.until,
            "by": self.by,
            "disputedFrom": self.disputed_from,
        }
        return [REGISTRY, self.keyid, body]

    def leaf(self) -> bytes:
        """The canonical bytes of the record: the leaf of the registry tree."""
        return canonical(self.as_json())

    def is_valid_at(self, time_ms: int) -> bool:
        """Whether ``until`` is not reached at a seal's time."""
        return self.until is None or time_ms < shape.time_ms(self.until, "until")


def key_record_of(value: JSON) -> KeyRecord:
    """The record of a parsed JSON array; raises :class:`InvalidInput`."""
    items = shape.array(value, "record", 3, 3)
    if items[0] != REGISTRY:
        raise InvalidInput(f"expected {REGISTRY}, got another format", rule="bad-version")
    obj = shape.members(items[2], "record", _MEMBERS)
    record = _record(obj)
    if items[1] != record.keyid:
        raise InvalidInput("expected the keyid of the record's key, got another", rule="bad-keyid")
    return record


def _record(obj: dict[str, JSON]) -> KeyRecord:
    roles = tuple([shape.choice(role, "roles", ROLES) for role in shape.array(obj["roles"], "roles", 0, 4)])
    if list(roles) != sorted(set(roles)):
        raise InvalidInput("roles: expected each role once, sorted", rule="bad-shape")
    until, disputed = obj["until"], obj["disputedFrom"]
    if until is not None:
        shape.time_ms(until, "until")
    return KeyRecord(
        shape.base64_bytes(obj["key"], "key", 32),
        shape.member_name(obj["member"], "member"),
        shape.member_name(obj["party"], "party"),
        shape.choice(obj["use"], "use", USES),
        roles,
        shape.choice(obj["state"], "state", STATES),
        shape.count(obj["since"], "since"),
        until,
        shape.count(obj["by"], "by"),
        None if disputed is None else shape.count(disputed, "disputedFrom"),
    )


def check_may_sign(record: KeyRecord, kind: str, member: str, time_ms: int | None) -> None:
    """Check that the record lets its key sign a kind of statement in a member's name at a seal's time.

    The role is not looked at: :func:`check_role` does. ``time_ms`` None leaves ``until`` out, for statements that
    no key with an end may sign. Raises :class:`Forbidden` with a rule that names the reason.
    """
    if record.member != member:
        raise Forbidden(f"expected a key of {member}, got one of {record.member}", rule="wrong-member")
    if record.state != "active":
        raise Forbidden(f"expected an active key, got one that is {record.state}", rule=f"key-{record.state}")
    if record.use not in USES_FOR[kind]:
        raise Forbidden(f"expected a key that may sign a {kind}, got a {record.use} key", rule="wrong-use")
    if time_ms is not None and not record.is_valid_at(time_ms):
        raise Forbidden(f"expected a key in force, got one that ended at {record.until}", rule="key-expired")


def check_role(kind: str, roles: frozenset[str]) -> None:
    """Check that these roles allow a kind of statement; raises :class:`Forbidden` (rule ``wrong-role``)."""
    needed = ROLE_FOR.get(kind)
    if needed is not None and needed not in roles:
        raise Forbidden(f"expected the role {needed} for a {kind}", rule="wrong-role")
