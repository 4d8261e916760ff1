"""The body of a `link` statement (`loomark/link/v1`): two names of one lot or serial, by somebody's word.

The statement in the log only commits to it; docs/spec/link.md. Two names are never joined by a guess.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger import shape
from ledger.canonical import JSON
from ledger.commitment import record_commitment
from ledger.errors import InvalidInput

from .identifiers import Kind, Position, canonical_thing, is_carrier_key, parse_element_string
from .thing import Thing

LINK: Final = "loomark/link/v1"
MAX_NAME: Final = 2_048
MAX_REASON: Final = 1_000

_BODY: Final = frozenset({"link", "same", "reason"})


class Link(NamedTuple):
    """Two different things, sorted by IRI, that somebody says are one; `reason` is a text for people, or None."""

    one: Thing
    other: Thing
    reason: str | None

    def as_json(self) -> dict[str, JSON]:
        """The body as a JSON object."""
        return {"link": LINK, "same": [self.one.iri, self.other.iri], "reason": self.reason}

    def commitment(self, salt: bytes) -> bytes:
        """What the statement commits to: the body as a record under a salt of 32 bytes."""
        return record_commitment(self.as_json(), salt)


def link_of(same: JSON, reason: JSON) -> Link:
    """The link of two names in any spelling: URIs, or element strings in brackets.

    Raises InvalidInput: `bad-shape`, `not-material` for what is neither lot nor serial (a class, a carrier),
    `same-name` for one thing twice, and what :func:`canonical_thing` raises.
    """
    names = [shape.text(item, "same", MAX_NAME) for item in shape.array(same, "same", 2, 2)]
    one, other = sorted([_material(name) for name in names], key=lambda thing: thing.iri)
    if one.iri == other.iri:
        raise InvalidInput(f"expected two things, got two names of {one.iri}", rule="same-name")
    return Link(one, other, None if reason is None else shape.text(reason, "reason", MAX_REASON))


def parse_link(value: JSON) -> Link:
    """The link of a body. Its names must be the canonical IRIs, sorted; raises as :func:`link_of`, `not-canonical`."""
    body = shape.members(value, "body", _BODY)
    if body["link"] != LINK:
        raise InvalidInput(f"expected {LINK}, got another format", rule="bad-version")
    link = link_of(body["same"], body["reason"])
    if link.as_json() != body:
        raise InvalidInput(
            "same: expected canonical IRIs, sorted, got another spelling", rule="not-canonical"
        )
    return link


def _material(name: str) -> Thing:
    """The lot or serial of a name; what a private name is, records may tell otherwise later."""
    # No URI begins with a bracket, so a name that does is the text of a bar code.
    thing = parse_element_string(name) if name.startswith("(") else canonical_thing(name, Position.EPC)
    if thing.kind not in (Kind.LOT, Kind.SERIAL) or is_carrier_key(thing.iri):
        raise InvalidInput(f"expected a lot or a serial, got {thing.iri[:200]}", rule="not-material")
    return thing
