"""Going over to new keys without a gap: the log's, the operator's, and those that capture for members.

Each change is a statement, and its new key is on the disk before the statement is staged: a crash in between
leaves a key that nobody heard of, which the next try takes. What was signed with the old key before its end stays
valid, in the log and in every proof; captures that are under way are sequenced by the queue's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fabric.store.credentials import OPERATOR as OPERATOR_ROLE
from fabric.store.credentials import Principal
from ledger.ed25519 import Signer, key_id, possession_line
from ledger.errors import Conflict, InvalidInput
from ledger.key_record import KeyRecord
from ledger.log_key import announce
from ledger.registry import Registry
from ledger.shape import time_text

from .intake import Clock
from .keyring import Keyring, require_member
from .service import CaptureService
from .statements import DELEGATION_MS, delegation

LEAST_OVERLAP_MS: Final = 1_000
MOST_OVERLAP_MS: Final = 366 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class LogKeyChange:
    """A change of the log's key: its statement's index, both vkeys, and until when the old key signs too."""

    index: int
    old: str
    new: str
    until: str


@dataclass(frozen=True, slots=True)
class CustodyChange:
    """A new key that captures for a member: in force since `index`, or, with `index` None, once the member delegates it.

    `delegate` are the bodies of the `delegation` statements that such a member signs; `ended` the keyids that end.
    """

    member: str
    keyid: str
    index: int | None
    ended: tuple[str, ...]
    delegate: tuple[dict[str, str], ...]


class Rotation:
    """Rotates the node's own keys. Safe to share by threads; waits for each statement's place in the log."""

    def __init__(self, capture: CaptureService, keyring: Keyring, clock: Clock) -> None:
        self._capture = capture
        self._keyring = keyring
        self._clock = clock

    def log_key(self, overlap_ms: int) -> LogKeyChange:
        """Go over to a new key of the log; the old one signs checkpoints beside it for `overlap_ms`.

        Raises InvalidInput for an overlap out of bounds, Conflict when somebody else was first.
        """
        _require_overlap(overlap_ms)
        log = self._capture.log_view()
        old = log.registry.log_keys[-1].vkey
        new = self._keyring.next_log_key(log.registry)
        until = time_text(self._clock() + overlap_ms)
        note = announce(log.origin, self._keyring.log_signers[old.public], new, until)
        index = self._state({"type": "key", "action": "log", "announcement": note})
        after = self._capture.log_view().registry.log_keys
        vkey = next(one.vkey for one in after if one.vkey.public == new.public_bytes)
        return LogKeyChange(index, old.text(), vkey.text(), until)

    def operator_key(self) -> tuple[int, str]:
        """Go over to a new key of the operator; gives the statement's index and the new keyid."""
        new = self._keyring.next_operator_key(self._capture.log_view().registry)
        index = self._state({"type": "key", "action": "rotate", "publicKey": possession_line(new)})
        return index, key_id(new.public_bytes)

    def custody(self, members: Sequence[str] | None, overlap_ms: int) -> list[CustodyChange]:
        """New keys to capture for these members, None for all it captures for; old ones end after `overlap_ms`.

        The new key is in the log before the old one is given an end, so every capture finds one in force.
        """
        _require_overlap(overlap_ms)
        registry = self._capture.log_view().registry
        for member in members or ():
            require_member(registry, member)
        chosen = members if members is not None else sorted({one.member for one in _services(registry)})
        return [self._custody_of(member, overlap_ms) for member in chosen]

    def delegations(self, member: str, overlap_ms: int, until_ms: int | None = None) -> CustodyChange:
        """What a member with a key of its own signs to let this node capture for it with a new key."""
        _require_overlap(overlap_ms)
        registry, now_ms = self._capture.log_view().registry, self._clock()
        require_member(registry, member)
        new = self._keyring.next_service(member, registry)
        until_ms = until_ms or now_ms + DELEGATION_MS
        ending = list(self._ending(registry, member, new, now_ms + overlap_ms))
        bodies = (delegation(new, until_ms), *[body for _, body in ending if body is not None])
        keyid = key_id(new.public_bytes)
        return CustodyChange(member, keyid, None, tuple([one.keyid for one, _ in ending]), bodies)

    def _custody_of(self, member: str, overlap_ms: int) -> CustodyChange:
        registry, now_ms = self._capture.log_view().registry, self._clock()
        if registry.members[member].had_key:
            return self.delegations(member, overlap_ms)
        new = self._keyring.next_service(member, registry)
        index = self._state(
            {"type": "member", "subject": member, "delegation": delegation(new, now_ms + DELEGATION_MS)}
        )
        ended = []
        for record, body in self._ending(registry, member, new, now_ms + overlap_ms):
            if body is None:
                self._state({"type": "key", "action": "revoke", "target": record.keyid})
            else:
                self._state({"type": "member", "subject": member, "delegation": body})
            ended.append(record.keyid)
        return CustodyChange(member, key_id(new.public_bytes), index, tuple(ended), ())

    def _ending(
        self, registry: Registry, member: str, new: Signer, end_ms: int
    ) -> Iterator[tuple[KeyRecord, dict[str, str] | None]]:
        """The member's other service keys that are in force beyond the end, with the body that ends each.

        None for one whose private key is gone: nobody can prove to hold it, so it is revoked.
        """
        for record in _services(registry, member):
            if record.key == new.public_bytes or not record.is_valid_at(end_ms):
                continue
            held = self._keyring.held_service(member, record.key)
            yield record, None if held is None else delegation(held, end_ms)

    def _state(self, value: dict[str, Any]) -> int:
        charter = self._capture.log_view().registry.charter
        if charter is None:
            raise InvalidInput("expected a log with a charter", rule="no-charter")
        _, outcome = self._capture.state(Principal(0, charter.operator, OPERATOR_ROLE), value)
        if outcome.index is None:
            raise Conflict(outcome.reason or "the statement was refused", rule=outcome.rule or "refused")
        return outcome.index


def _services(registry: Registry, member: str | None = None) -> list[KeyRecord]:
    """The active service keys, of one member or of all."""
    return [
        record
        for record in registry.records.values()
        if (record.use, record.state) == ("service", "active") and member in (None, record.member)
    ]


def _require_overlap(overlap_ms: int) -> None:
    if not LEAST_OVERLAP_MS <= overlap_ms <= MOST_OVERLAP_MS:
        raise InvalidInput(
            f"expected an overlap of {LEAST_OVERLAP_MS // 1000} s to {MOST_OVERLAP_MS // 1000} s,"
            f" got {overlap_ms / 1000:g} s",
            rule="bad-overlap",
        )
