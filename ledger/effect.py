"""What each kind of registry statement does: ``(registry, index, statement) -> registry``, or an error that voids it.

Authority is decided before, by :meth:`ledger.registry.Registry.authorise`; here are only the rules about
the registry's own content. The charter alone is checked here whole, against the keys it lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from . import shape
from .ed25519 import admit_public_key, key_id
from .errors import Conflict, Forbidden, InvalidInput, NotFound
from .identifier import assign, read_parties
from .key_record import KeyRecord
from .log_key import LogKey, verify_announcement, with_change
from .membership import Charter, Grant, Member
from .note import ED25519, VerifierKey, parse_vkey
from .statement import Statement, UnverifiedEnvelope, read_signature_rules, verify_signatures

if TYPE_CHECKING:
    from .registry import Registry

STANDING_ROLES = ("member",)


def charter(registry: Registry, index: int, envelope: UnverifiedEnvelope) -> Registry:
    """The registry of a charter: its operator keys, each of which must have signed it."""
    statement = envelope.statement
    if index != 0 or registry.charter is not None:
        raise Forbidden("expected the charter at index 0 only", rule="second-charter")
    log_key = _log_key(statement)
    keys = [admit_public_key(line) for line in statement.body["operatorKeys"]]
    by_id = {key_id(key): key for key in keys}
    if len(by_id) != len(keys) or log_key.public in keys:
        raise Conflict("expected distinct keys for the log and each operator key", rule="key-in-use")
    if envelope.keyids != by_id.keys() or statement.key not in by_id:
        raise Forbidden("expected the signature of each operator key, got others", rule="wrong-signers")
    verify_signatures(envelope, by_id)
    operator = statement.member
    records = {
        keyid: KeyRecord(
            key, operator, operator, "operator", ("operator",), "active", index, None, index, None
        )
        for keyid, key in by_id.items()
    }
    found = Charter(
        statement.log,
        log_key.text(),
        log_key.public,
        operator,
        statement.body["name"],
        read_signature_rules(statement.body["signatures"]),
        statement.body["bundles"],
    )
    founder = Member(operator, found.name, ("operator",), True, index, index)
    log_keys = (LogKey(log_key, index, None),)
    return replace(registry, charter=found, members={operator: founder}, records=records, log_keys=log_keys)


def _log_key(statement: Statement) -> VerifierKey:
    key = parse_vkey(statement.body["vkey"])
    if key.kind != ED25519 or key.name != statement.log:
        raise InvalidInput("expected the log's Ed25519 vkey under its origin, got another", rule="bad-vkey")
    return key


def member(registry: Registry, index: int, statement: Statement) -> Registry:
    """Admit a member, or state something more about one: name, roles, identifiers, a first key, a delegation."""
    body, subject = statement.body, statement.body["subject"]
    if registry.charter is None or subject == registry.charter.operator:
        raise Forbidden("expected a member other than the operator", rule="wrong-subject")
    if "publicKey" in body and "delegation" in body:
        raise InvalidInput("expected a key of its own or a delegation, got both", rule="key-and-delegation")
    registry = _with_member(registry, index, subject, body)
    if "publicKey" in body:
        registry = _with_own_key(registry, index, subject, body["publicKey"])
    if "delegation" in body:
        if registry.members[subject].had_key:
            raise Forbidden("expected a member without a key of its own", rule="delegation-not-granted")
        registry = _delegate(registry, index, subject, body["delegation"])
    for claim in read_parties(body["parties"]) if "parties" in body else ():
        registry = replace(registry, identifiers=assign(registry.identifiers, claim, subject, index))
    return registry


def _with_member(registry: Registry, index: int, subject: str, body: Mapping[str, object]) -> Registry:
    known = registry.members.get(subject)
    if known is None and "name" not in body:
        raise InvalidInput("expected a name at admission, got none", rule="name-missing")
    roles = body.get("roles", known.roles if known else STANDING_ROLES)
    name = body.get("name", known.name if known else "")
    one = Member(
        subject,
        str(name),
        tuple(roles),  # type: ignore[arg-type]  # The statement parser checked the list.
        known.had_key if known else False,
        known.since if known else index,
        index,
    )
    records = registry.records
    if known is not None and known.roles != one.roles:
        records = {keyid: _with_roles(record, one, index) for keyid, record in records.items()}
    return replace(registry, members={**registry.members, subject: one}, records=records)


def _with_roles(record: KeyRecord, one: Member, index: int) -> KeyRecord:
    if record.member != one.id or record.state != "active":
        return record
    return replace(record, roles=one.roles, by=index)


def _with_own_key(registry: Registry, index: int, subject: str, line: str) -> Registry:
    # While the member can rotate its key itself, nobody else may add one in its name.
    if any(
        one.member == subject and one.use == "member" and one.state == "active"
        for one in registry.records.values()
    ):
        raise Forbidden(
            "expected a member without an active key, got one that has to rotate it", rule="key-active"
        )
    key = _new_key(registry, line)
    known = registry.members[subject]
    record = KeyRecord(key, subject, subject, "member", known.roles, "active", index, None, index, None)
    members = {**registry.members, subject: replace(known, had_key=True)}
    return replace(registry, members=members, records={**registry.records, record.keyid: record})


def _new_key(registry: Registry, line: str) -> bytes:
    key = admit_public_key(line)
    _require_new(registry, key)
    return key


def _require_new(registry: Registry, key: bytes) -> None:
    if key_id(key) in registry.records or key in [one.vkey.public for one in registry.log_keys]:
        raise Conflict("expected a new key, got one that is or was in use", rule="key-in-use")


def key(registry: Registry, index: int, statement: Statement) -> Registry:
    """Rotate the signing key to a new one, revoke a key, or go over to another key of the log."""
    actions = {"rotate": _rotate, "revoke": _revoke, "log": _change_log_key}
    return actions[statement.body["action"]](registry, index, statement)


def _change_log_key(registry: Registry, index: int, statement: Statement) -> Registry:
    if registry.record(statement.key).use != "operator":
        raise Forbidden("expected the operator to change the log's key, got a member", rule="wrong-use")
    change = verify_announcement(statement.body["announcement"])
    _require_new(registry, change.new.public)
    return replace(registry, log_keys=with_change(registry.log_keys, change, index))


def _rotate(registry: Registry, index: int, statement: Statement) -> Registry:
    old = registry.record(statement.key)
    public = _new_key(registry, statement.body["publicKey"])
    new = replace(old, key=public, since=index, by=index)
    retired = replace(old, state="retired", by=index)
    return replace(
        registry,
        records={**registry.records, old.keyid: retired, new.keyid: new},
        ended={**registry.ended, old.keyid: index},
    )


def _revoke(registry: Registry, index: int, statement: Statement) -> Registry:
    target = registry.record(statement.body["target"])
    if target.member != statement.member and registry.record(statement.key).use != "operator":
        raise Forbidden("expected a key of the member itself, got another's", rule="wrong-member")
    since = statement.body.get("since")
    if since is not None and since > index:
        raise InvalidInput("expected a since at or before the revocation itself", rule="bad-since")
    if target.state == "revoked" and not _is_earlier(since, target.disputed_from):
        raise Conflict("expected a key that is not revoked, got one that is", rule="key-revoked")
    disputed = since if _is_earlier(since, target.disputed_from) else target.disputed_from
    revoked = replace(target, state="revoked", by=index, disputed_from=disputed)
    records = {**registry.records, target.keyid: revoked}
    if not any(one.use == "operator" and one.state == "active" for one in records.values()):
        raise Forbidden(
            "expected an operator key to stay, got a revocation of the last", rule="last-operator-key"
        )
    # A key that had ended before signed nothing since then, whatever is said of it later.
    return replace(registry, records=records, ended={target.keyid: index, **registry.ended})


def _is_earlier(since: int | None, disputed: int | None) -> bool:
    return since is not None and (disputed is None or since < disputed)


def role(registry: Registry, index: int, statement: Statement) -> Registry:
    """Grant a role, or give the grant of the same grantee, role and members another end."""
    body = statement.body
    members = None if body["for"] == "all" else tuple(body["for"])
    for name in (body["grantee"], *(members or ())):
        if name not in registry.members:
            raise NotFound(f"expected a member, got {name}", rule="unknown-member")
    until = None if body["until"] is None else shape.time_ms(body["until"], "until")
    grant = Grant(body["grantee"], body["role"], members, until, index)
    rest = [
        one
        for one in registry.grants
        if (one.grantee, one.role, one.members) != (grant.grantee, grant.role, grant.members)
    ]
    return replace(registry, grants=(*rest, grant))


def delegation(registry: Registry, index: int, statement: Statement) -> Registry:
    """Let a node key sign in the name of the member that states it, until a time."""
    return _delegate(registry, index, statement.member, statement.body)


def _delegate(registry: Registry, index: int, name: str, body: Mapping[str, str]) -> Registry:
    if registry.charter is None:
        raise Forbidden("expected a charter first", rule="wrong-log")
    known = registry.records.get(key_id(admit_public_key(body["service"])))
    if known is not None:
        if (known.use, known.member, known.state) != ("service", name, "active"):
            raise Conflict("expected a new key, got one that is or was in use", rule="key-in-use")
        record = replace(known, until=body["until"], by=index)
    else:
        public = _new_key(registry, body["service"])
        roles, operator = registry.members[name].roles, registry.charter.operator
        record = KeyRecord(
            public, name, operator, "service", roles, "active", index, body["until"], index, None
        )
    return replace(registry, records={**registry.records, record.keyid: record})


EFFECTS: Mapping[str, Callable[[Registry, int, Statement], Registry]] = {
    "member": member,
    "key": key,
    "role": role,
    "delegation": delegation,
}
