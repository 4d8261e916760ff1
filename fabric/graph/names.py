"""The IRIs of the graph: records and their parts, members, processes, hand-overs, and the names of graphs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final
from urllib.parse import quote

RECORD: Final = "urn:loomark:record:"
MEMBER: Final = "urn:loomark:member:"
PROCESS: Final = "urn:loomark:process:"
HANDOVER: Final = "urn:loomark:handover:"
CLASS: Final = "urn:loomark:class:"

GRAPH: Final = "urn:loomark:graph"
"""The graph about the graph: its covered tree size, and who sees which class. No reader is shown it."""

MASTER: Final = "urn:loomark:master"
"""Master-data claims: shown with a thing that the reader sees named, and to the member that made them."""

PAIRED: Final = "urn:loomark:inferred:dispatch-receipt"
"""Hand-overs inferred by pairing dispatches with receipts; shown to whoever sees both records."""

# What RFC 3986 lets a fragment hold bare.
_FRAGMENT: Final = "/~!$&'()*+,;=:@?-._"
_BARE: Final = re.compile(r"[A-Za-z0-9/~!$&'()*+,;=:@?\-._]*\Z")


def record_iri(commitment: bytes) -> str:
    """A record's name: its commitment in hex."""
    return RECORD + commitment.hex()


def part_iri(record: str, pointer: str) -> str:
    """The part of a record at a JSON pointer, as a URI fragment (RFC 6901, section 6)."""
    return f"{record}#{pointer if _BARE.match(pointer) else quote(pointer, safe=_FRAGMENT)}"


def member_iri(member: str) -> str:
    """A member by its id."""
    return MEMBER + member


def process_iri(record: str, member: str, transformation_id: str | None) -> str:
    """The process of one TransformationEvent, or of all those of a member with one transformationID."""
    if transformation_id is None:
        return PROCESS + record.removeprefix(RECORD)
    return f"{PROCESS}{member}:{quote(transformation_id, safe='')}"


def class_iri(members: Iterable[str]) -> str:
    """The graph of a visibility class, named by its members.

    Not by the number a store gives it: numbers may differ after a rebuild, and then the same name would show
    records to other members.
    """
    return CLASS + sha256(" ".join(sorted(members)).encode()).hexdigest()[:32]


def handover_iri(thing: str, dispatch: bytes, receipt: bytes) -> str:
    """One dispatch and one receipt of one thing."""
    return HANDOVER + sha256(b"\0".join((thing.encode(), dispatch, receipt))).hexdigest()[:32]


def is_ours(name: str) -> bool:
    """Whether an IRI names something of the graph's own (a record, a class), about which no sender may say anything."""
    return name.startswith("urn:loomark:") and not name.startswith("urn:loomark:thing:")
