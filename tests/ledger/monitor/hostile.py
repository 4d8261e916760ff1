"""Logs that break the rules, in memory: any entries, signed by the log's key, shown in any way."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.errors import NotFound, Unavailable
from ledger.merkle import EMPTY_ROOT
from ledger.monitor.audit import Audit
from ledger.monitor.evidence import Signed, evidence_of
from ledger.note import note_bytes, sign
from ledger.seal import Seal, seal_bytes
from ledger.shape import time_text
from ledger.tile import TILE_WIDTH, Tile, bundle_entries

from ..consortium import ORIGIN, START_MS, Consortium, key_of

LATER_MS = START_MS + 10**8


@dataclass
class ShownLog:
    """A log source over entries; what it shows and withholds can be set."""

    origin: str
    entries: list[bytes]
    shown: bytes | None = None
    withheld: bool = False
    hides_entries: bool = False
    asked: list[Tile] = field(default_factory=list)

    def checkpoint(self) -> bytes:
        if self.withheld:
            raise Unavailable("no answer")
        return self.shown if self.shown is not None else self.note()

    def tile(self, tile: Tile) -> bytes:
        self.asked.append(tile)
        if self.withheld or (self.hides_entries and tile.level == "entries"):
            raise Unavailable("no answer")
        start = tile.index * TILE_WIDTH
        if tile.level == "entries":
            return bundle_entries(self.entries[start : start + tile.width])
        span = 256**tile.level
        heads = [self._hashes(at * span, (at + 1) * span) for at in range(start, start + tile.width)]
        if any(not head for head in heads):
            raise NotFound("no such tile", rule="no-tile")
        return b"".join([merkle.root(head) for head in heads])

    def note(self, size: int | None = None) -> bytes:
        return signed_note(self.origin, self.entries[:size])

    def _hashes(self, start: int, end: int) -> list[bytes]:
        return (
            [merkle.leaf_hash(data) for data in self.entries[start:end]] if end <= len(self.entries) else []
        )


def signed_note(origin: str, entries: Sequence[bytes], key: SigningKey | None = None) -> bytes:
    root = merkle.root([merkle.leaf_hash(data) for data in entries])
    return sign_checkpoint(Checkpoint(origin, len(entries), root), key or key_of("log"))


def consortium() -> Consortium:
    """A sound log with two members, one in custody, captures, and a key that was revoked."""
    one = Consortium.founded("farm", "packer")
    one.admit_without_key("shop", START_MS + 10**7)
    one.publish()
    for number in range(3):
        one.capture("farm", [{"@context": [], "type": f"T{number}"}])
    one.publish()
    return one


def capture(one: Consortium, by: str = "farm", **options: Any) -> bytes:
    return one.envelope("capture", {"commitment": one.draw().hex()}, by, **options)


def seal(one: Consortium, **changes: Any) -> bytes:
    """The seal over what was appended to the entries of a consortium, with some of its members changed."""
    head = one.registry.head()
    start = one.replay.seals[-1].index + 1
    found: dict[str, Any] = {"log": one.origin, "start": start, "time": time_text(LATER_MS)}
    return seal_bytes(Seal(**{**found, "before": head, "after": head, **changes}))


Breaking = Callable[[Consortium], list[bytes]]


def _rotated(one: Consortium) -> list[bytes]:
    one.state("key", {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}, by="farm")
    return [capture(one, keys=[key_of("farm")]), seal(one)]


def _revoked(one: Consortium) -> list[bytes]:
    target = key_id(key_of("packer").public_bytes)
    one.state("key", {"action": "revoke", "target": target}, by="operator")
    return [capture(one, "packer"), seal(one)]


def _second_charter(one: Consortium) -> list[bytes]:
    one.state("charter", one.charter_body(), by="operator")
    return []


def _void_role(one: Consortium) -> list[bytes]:
    one.state("role", {"grantee": "packer", "role": "auditor", "for": ["farm"], "until": None}, by="packer")
    return []


def _held_identifier(one: Consortium) -> list[bytes]:
    claim = {"kind": "gln", "value": "4012345000009", "from": time_text(START_MS), "until": None}
    one.state("member", {"subject": "farm", "parties": [claim]}, by="operator")
    one.state("member", {"subject": "packer", "parties": [claim]}, by="operator")
    return []


def _flipped(data: bytes) -> bytes:
    return data.replace(data[data.rindex(b'"sig":"') + 7 :][:88], b64encode(bytes(64)))


def _twice(one: Consortium) -> list[bytes]:
    same = "ab" * 16
    return [capture(one, statement_id=same), capture(one, statement_id=same), seal(one)]


def _unsealed_registry(one: Consortium) -> list[bytes]:
    statement = one.envelope("member", {"subject": "farm", "name": "New Name"}, "operator")
    return [statement, capture(one), seal(one)]


def _root(text: str) -> tuple[int, bytes]:
    return 3, text.encode().ljust(32)


BREAKING: Mapping[str, tuple[str, str, Breaking]] = {
    "a stranger's key": (
        "void-statement",
        "unknown-key",
        lambda one: [capture(one, keys=[key_of("stranger")]), seal(one)],
    ),
    "another member's key": (
        "void-statement",
        "wrong-member",
        lambda one: [capture(one, keys=[key_of("packer")]), seal(one)],
    ),
    "an operator key that captures": (
        "void-statement",
        "wrong-use",
        lambda one: [capture(one, "operator"), seal(one)],
    ),
    "a retired key": ("void-statement", "key-retired", _rotated),
    "a revoked key": ("void-statement", "key-revoked", _revoked),
    "a second charter": ("void-statement", "second-charter", _second_charter),
    "a delegation that had ended": (
        "void-statement",
        "key-expired",
        lambda one: [capture(one, "shop", keys=[key_of("service shop")]), seal(one)],
    ),
    "a signature that does not hold": (
        "void-statement",
        "bad-signature",
        lambda one: [_flipped(capture(one)), seal(one)],
    ),
    "a recall without the role": (
        "void-statement",
        "wrong-role",
        lambda one: [
            one.envelope("recall", {"parties": ["farm"], "commitment": "ab" * 32}, "farm"),
            seal(one),
        ],
    ),
    "an agreement that a party did not sign": (
        "void-statement",
        "wrong-signers",
        lambda one: [
            one.envelope("agreement", {"parties": ["farm", "packer"], "commitment": "ab" * 32}, "farm"),
            seal(one),
        ],
    ),
    "another log's statement": (
        "void-statement",
        "wrong-log",
        lambda one: [capture(one, log="another.example"), seal(one)],
    ),
    "a role granted by a member": ("void-statement", "wrong-use", _void_role),
    "an identifier given twice": ("void-statement", "identifier-held", _held_identifier),
    "one statement id twice": ("duplicate-id", "duplicate-statement", _twice),
    "a seal with another registry before": (
        "false-seal",
        "bad-seal",
        lambda one: [capture(one), seal(one, before=_root("x"))],
    ),
    "a seal with another registry after": (
        "false-seal",
        "bad-seal",
        lambda one: [capture(one), seal(one, after=_root("y"))],
    ),
    "a seal of another log": ("false-seal", "bad-seal", lambda one: [capture(one), seal(one, log="z")]),
    "a seal that begins too early": (
        "false-seal",
        "bad-seal",
        lambda one: [capture(one), seal(one, start=len(one.entries) - 2)],
    ),
    "a seal that begins at nothing": (
        "false-seal",
        "bad-seal",
        lambda one: [capture(one), seal(one, start=0)],
    ),
    "a seal that begins too late": (
        "false-seal",
        "bad-seal",
        lambda one: [capture(one), capture(one), seal(one, start=len(one.entries) + 1)],
    ),
    "a seal that is older than the last": (
        "false-seal",
        "bad-seal",
        lambda one: [capture(one), seal(one, time=time_text(START_MS))],
    ),
    "two seals in a row": ("false-seal", "bad-seal", lambda one: [seal(one)]),
    "a registry statement without its seal": ("false-seal", "missing-seal", _unsealed_registry),
    "a checkpoint without its seal": ("false-seal", "missing-seal", lambda one: [capture(one)]),
    "bytes that are no entry": ("bad-entry", "bad-entry", lambda one: [b'{"payload":1}', seal(one)]),
    "an entry in another spelling": (
        "bad-entry",
        "bad-entry",
        lambda one: [capture(one) + b" ", seal(one)],
    ),
}
"""What a log may not write, and the kind and rule of the evidence: name -> (kind, rule, what it appends)."""


def broken(name: str) -> tuple[Consortium, list[bytes]]:
    """A consortium before, and the entries of its log after it broke a rule and wrote on honestly for a while."""
    one = consortium()
    more = BREAKING[name][2](one)
    return one, [*one.entries, *more]


@cache
def evidence(name: str) -> bytes:
    """What an audit of such a log makes of it."""
    one, entries = broken(name)
    audit = Audit(one.origin)
    for data in entries:
        audit.take(data)
    audit.end()
    signed = Signed(one.origin, len(entries), signed_note(one.origin, entries), lambda: iter(entries))
    return evidence_of(audit.faults[0], signed)


def hostile_notes() -> dict[str, tuple[bytes, str]]:
    """Answers to a request for a checkpoint, and the rule of the suspicion that each gives rise to."""
    entries = consortium().entries
    good = signed_note(ORIGIN, entries)
    head = good.split(b"\n\n")[0]
    other = Checkpoint("another.example", 9, bytes(32))
    extended = head.decode() + "\nextension\n"
    noise = "\u2014 noise AAAAAAAA\n".encode()
    canonical = good.split()[-1]
    assert canonical.endswith(b"=")
    spelled = canonical[:-2] + bytes([canonical[-2] + 1]) + b"="
    return {
        "nothing": (b"", "bad-note"),
        "noise": (random.Random(1).randbytes(3_000), "bad-note"),
        "a page": (b"<html>\n<body>\n\n</body></html>\n", "bad-note"),
        "without a signature": (head + b"\n\n", "bad-note"),
        "a signature by nobody": (head + b"\n\n" + noise, "unsigned-note"),
        "a false signature": (
            good.replace(head, signed_note(ORIGIN, entries[:4]).split(b"\n\n")[0]),
            "note-signature",
        ),
        "base64 in another spelling": (good.replace(canonical, spelled), "bad-base64"),
        "base64 without padding": (good.replace(canonical, canonical.rstrip(b"=")), "bad-base64"),
        "10,000 signature lines": (good + noise * 10_000, "too-many-signatures"),
        "33 signature lines": (good + noise * 32, "too-many-signatures"),
        "too large": (good + b"x" * 2_000_000, "note-too-large"),
        "an extension line": (
            note_bytes(extended, [sign(extended, ORIGIN, key_of("log"))]),
            "bad-checkpoint",
        ),
        "another origin": (
            note_bytes(other.text(), [sign(other.text(), ORIGIN, key_of("log"))]),
            "wrong-origin",
        ),
        "another log": (sign_checkpoint(other, key_of("log")), "wrong-origin"),
        "the empty tree": (
            sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), key_of("log")),
            "bad-checkpoint",
        ),
        "a size beyond 2^53": (
            sign_checkpoint(Checkpoint(ORIGIN, 2**53, bytes(32)), key_of("log")),
            "bad-checkpoint",
        ),
        "another key": (sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), key_of("thief")), "unsigned-note"),
    }
