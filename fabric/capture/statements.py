"""Statements that are posted: a member's own envelope, or what the operator states and the node signs.

The operator's form is JSON `{type, ...}` with the members of docs/spec/statement.md. For a `member` statement
more can be left out: `subject` follows from the name, a party may be a bare identifier, and a member without a
key of its own is captured for by the node, with a service key made for it alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fabric.epcis.gs1 import check_digit
from fabric.epcis.identifiers import Position, canonical_thing
from ledger.ed25519 import Signer, key_id, possession_line
from ledger.effect import STANDING_ROLES
from ledger.errors import Forbidden, InvalidInput
from ledger.identifier import read_parties
from ledger.log_key import require_orderly
from ledger.registry import Registry, Void
from ledger.shape import Within, member_name, time_text
from ledger.statement import Statement, UnverifiedEnvelope, payload_bytes, sign_statement

from .intake import LogView
from .keyring import Keyring

DELEGATION_MS: Final = 5 * 365 * 24 * 3600 * 1000
"""How long a service key of a member without a key may sign, unless the statement says until when."""

STATED_BY_OPERATOR: Final = frozenset({"member", "key", "role"})
WITHOUT_STORE: Final = frozenset({"link", "agreement", "recall", "erasure"})
"""Kinds that only commit to a body beside the log: links and erasures come with theirs, no other body is kept."""

_ALWAYS: Final = time_text(0)
_GLN_DIGITS: Final = 13


class Draft(NamedTuple):
    """A signed statement of the operator; `admits` names the member it would admit, else None."""

    envelope: bytes
    admits: str | None


def draft(value: Mapping[str, Any], keyring: Keyring, log: LogView, statement_id: str, now_ms: int) -> Draft:
    """Complete and sign what the operator states. Raises InvalidInput for what is no statement of theirs."""
    kind = value.get("type")
    if type(kind) is not str or kind not in STATED_BY_OPERATOR:
        expected = ", ".join(sorted(STATED_BY_OPERATOR))
        raise InvalidInput(
            f"expected a statement of type {expected}, got {str(kind)[:40]}",
            rule="unknown-type",
            pointer="/type",
        )
    body = {name: item for name, item in value.items() if name != "type"}
    admits = None
    if kind == "member":
        body = _member(body, keyring, log.registry, now_ms)
        admits = None if body["subject"] in log.registry.members else body["subject"]
    elif kind == "role":
        body = {"for": "all", "until": None, **body}
    key = keyring.operator(log.registry)
    charter = log.registry.charter
    if charter is None:
        raise InvalidInput("expected a log with a charter", rule="no-charter")
    statement = Statement(
        kind,
        log.origin,
        charter.operator,
        key_id(key.public_bytes),
        statement_id,
        time_text(now_ms),
        log.seen,
        body,
    )
    return Draft(sign_statement(payload_bytes(statement), [key]), admits)


def require_author(statement: Statement, poster: str | None) -> None:
    """Refuse a statement by another member than the one whose API key it came with; None posts for anybody."""
    if poster is not None and statement.member != poster:
        raise Forbidden(
            f"expected a statement by {poster}, got one by {statement.member}", rule="wrong-member"
        )


def check(envelope: UnverifiedEnvelope, log: LogView, now_ms: int) -> None:
    """Refuse at the door what sequencing would refuse. Raises Forbidden, InvalidInput."""
    statement = envelope.statement
    if statement.type == "capture":
        raise InvalidInput(
            "expected a capture with its document, got its statement alone", rule="not-a-submission"
        )
    if statement.type == "link":
        raise InvalidInput(
            "expected a link with the body that it commits to (POST /api/links), got its statement alone",
            rule="body-not-kept",
        )
    if statement.type == "erasure":
        raise InvalidInput(
            "expected an erasure with the body that it commits to (POST /api/erasures), got its statement alone",
            rule="body-not-kept",
        )
    if statement.type in WITHOUT_STORE:
        raise InvalidInput(
            f"expected a statement whose body can be kept, got {statement.type}: this version keeps no body that"
            " lies beside the log, and a commitment to what nobody holds proves nothing",
            rule="body-not-kept",
        )
    for value in _party_iris(statement):
        if _canonical_iri(value) != value:
            raise InvalidInput(
                f"expected the canonical spelling {_canonical_iri(value)}, got {value}",
                rule="not-canonical-party",
            )
    log.registry.authorise(envelope, now_ms)
    if statement.type == "member":
        _require_party_role(statement, log.registry, now_ms)
    if statement.is_registry:
        require_orderly(statement, log.registry.log_keys, now_ms)
        outcome = log.registry.apply(log.seen[0], envelope)
        if isinstance(outcome, Void):
            raise InvalidInput(outcome.reason, rule=outcome.rule)


def _require_party_role(statement: Statement, registry: Registry, now_ms: int) -> None:
    """Refuse identifiers for whoever only reads: their holder is a party of every record that names one."""
    body, subject = statement.body, statement.body["subject"]
    known = registry.members.get(subject)
    if "member" in body.get("roles", known.roles if known else STANDING_ROLES):
        return
    held = [one for one in registry.identifiers if one.member == subject and one.holds_at(now_ms)]
    if body.get("parties") or ("roles" in body and held):
        raise InvalidInput(
            f"expected no party identifiers for {subject}, who is no member but reads as an auditor or recall team,"
            " got some: give it the role member as well, or end what it holds",
            rule="party-without-member",
        )


def _member(body: dict[str, Any], keyring: Keyring, registry: Registry, now_ms: int) -> dict[str, Any]:
    subject = body.setdefault("subject", slug(str(body.get("name", ""))))
    member_name(subject, "subject")
    for name in ("parties", "roles"):
        if not body.get(name, True):
            del body[name]
    if isinstance(body.get("parties"), list):
        body["parties"] = [_party(item, at) for at, item in enumerate(body["parties"])]
    if isinstance(body.get("roles"), list):
        body["roles"] = sorted(set(map(str, body["roles"])))
    known = registry.members.get(subject)
    if known is None and not {"publicKey", "delegation"} & body.keys():
        body["delegation"] = delegation(keyring.service(subject), now_ms + DELEGATION_MS)
    return body


def delegation(service: Signer, until_ms: int) -> dict[str, str]:
    """The body by which a service key is delegated to this node until a time."""
    return {"service": possession_line(service), "until": time_text(until_ms)}


def slug(name: str) -> str:
    """A member id from a name: lower-case letters, digits and single hyphens, at most 64."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-")


def _party(item: Any, at: int) -> Any:
    with Within(f"/parties/{at}"):
        return _completed(item)


def _completed(item: Any) -> Any:
    if isinstance(item, str):
        digits = item.isascii() and item.isdigit()
        kind = "iri" if not digits else "gln" if len(item) == _GLN_DIGITS else "prefix"
        item = {"kind": kind, "value": item}
    if not isinstance(item, dict):
        return item
    value = item.get("value")
    if item.get("kind") == "gln":
        _check_gln(value)
    if item.get("kind") == "iri" and isinstance(value, str):
        item = {**item, "value": _canonical_iri(value)}
    return {"from": _ALWAYS, "until": None, **item}


def _party_iris(statement: Statement) -> list[str]:
    if statement.type != "member" or "parties" not in statement.body:
        return []
    return [claim.value for claim in read_parties(statement.body["parties"]) if claim.kind == "iri"]


def _canonical_iri(value: str) -> str:
    """The one spelling under which the ledger assigns a party or place, so that two members never hold one.

    Raises InvalidInput (rule `bad-check-digit`) for a key that nobody can have.
    """
    return canonical_thing(value, Position.PARTY).iri if ":" in value else value


def _check_gln(value: Any) -> None:
    """Refuse a location number that nobody can have: its holder would never see what names the right one."""
    if not (isinstance(value, str) and len(value) == _GLN_DIGITS and value.isascii() and value.isdigit()):
        return
    right = check_digit(value[:-1])
    if right != value[-1]:
        raise InvalidInput(
            f"expected check digit {right} in GLN {value[:-1]}{right}, got {value}", rule="bad-check-digit"
        )
