"""Party identifiers that the ledger assigns to members: a GLN, a company prefix or any party IRI.

One member holds an identifier at a time. Reading an identifier out of an event, and which of several
matches best, is the data fabric's work; the ledger only says who held what, from when, until when.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import shape
from .canonical import JSON
from .errors import Conflict, InvalidInput

MAX_PARTIES = 256
_GLN = re.compile(r"[0-9]{13}\Z")
_PREFIX = re.compile(r"[0-9]{4,12}\Z")
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+\Z")
_PATTERNS = {"gln": _GLN, "prefix": _PREFIX, "iri": _IRI}


@dataclass(frozen=True, slots=True)
class Identifier:
    """``member`` holds ``value`` of ``kind`` (gln, prefix, iri) in ``[from_ms, until_ms)``, milliseconds UTC.

    ``until_ms`` None means no end is stated; ``by`` is the index of the last statement about it.
    """

    kind: str
    value: str
    member: str
    from_ms: int
    until_ms: int | None
    by: int

    def holds_at(self, time_ms: int) -> bool:
        """Whether the member holds the identifier at a time."""
        return self.from_ms <= time_ms and (self.until_ms is None or time_ms < self.until_ms)

    def overlaps(self, other: Identifier) -> bool:
        """Whether both name the same identifier at some common time."""
        if (self.kind, self.value) != (other.kind, other.value):
            return False
        ends = self.until_ms is not None and self.until_ms <= other.from_ms
        starts = other.until_ms is not None and other.until_ms <= self.from_ms
        return not (ends or starts)


@dataclass(frozen=True, slots=True)
class Claim:
    """One item of a member statement's ``parties``: the identifier without its holder."""

    kind: str
    value: str
    from_ms: int
    until_ms: int | None


def read_parties(value: JSON) -> list[Claim]:
    """The claims of a member statement's ``parties``; raises :class:`InvalidInput`."""
    return [_claim(item, at) for at, item in enumerate(shape.array(value, "parties", 1, MAX_PARTIES))]


def _claim(value: JSON, at: int) -> Claim:
    with shape.Within(f"/parties/{at}"):
        return _read_claim(value)


def _read_claim(value: JSON) -> Claim:
    obj = shape.members(value, "parties", frozenset({"kind", "value", "from", "until"}))
    kind = shape.choice(obj["kind"], "parties.kind", frozenset(_PATTERNS))
    text = shape.text(obj["value"], "parties.value", 2_048)
    if not _PATTERNS[kind].match(text):
        raise InvalidInput(f"parties.value: expected a {kind}", rule="bad-identifier", pointer="/value")
    start = shape.time_ms(obj["from"], "parties.from")
    end = None if obj["until"] is None else shape.time_ms(obj["until"], "parties.until")
    if end is not None and end < start:
        raise InvalidInput(
            "parties: expected until at or after from", rule="bad-identifier", pointer="/until"
        )
    return Claim(kind, text, start, end)


def assign(held: tuple[Identifier, ...], claim: Claim, member: str, by: int) -> tuple[Identifier, ...]:
    """``held`` with one claim of ``member`` added, or ended where it names one of the member's by its start.

    Raises :class:`Conflict` (rule ``identifier-held``) where it would give one identifier two holders at a time.
    """
    new = Identifier(claim.kind, claim.value, member, claim.from_ms, claim.until_ms, by)
    rest = tuple([one for one in held if not _same_start(one, new)])
    for one in rest:
        if one.overlaps(new) and new.until_ms != new.from_ms:
            raise Conflict(
                f"expected an identifier that is free, got one held by {one.member}", rule="identifier-held"
            )
    return (*rest, new)


def _same_start(one: Identifier, new: Identifier) -> bool:
    return (one.kind, one.value, one.member, one.from_ms) == (new.kind, new.value, new.member, new.from_ms)
