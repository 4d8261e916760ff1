"""The registry: members, keys, roles, identifiers, as a pure replay of the registry statements.

A :class:`Registry` never changes; :meth:`Registry.apply` gives the next one, or a :class:`Void` that says why a
sequenced statement has no effect. What each kind does is in :mod:`ledger.effect`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from . import effect, merkle
from .errors import Conflict, Forbidden, InvalidInput
from .identifier import Identifier
from .key_record import ROLE_FOR, KeyRecord, check_may_sign, check_role
from .log_key import LogKey
from .membership import Charter, Grant, Member
from .statement import Statement, UnverifiedEnvelope, verify_signatures


@dataclass(frozen=True, slots=True)
class Void:
    """A sequenced statement without effect; ``rule`` is the stable slug of the reason."""

    reason: str
    rule: str


@dataclass(frozen=True, slots=True)
class Authority:
    """Who stated something: ``custody`` is member, service or operator, by the proposer's key record."""

    custody: str
    signers: tuple[KeyRecord, ...]


@dataclass(frozen=True)
class Registry:
    """A snapshot of the registry after some registry statements; the empty one knows nobody.

    ``ended`` says by which statement a key ceased to be active; ``log_keys`` are the log's own, oldest first.
    """

    charter: Charter | None = None
    members: Mapping[str, Member] = field(default_factory=dict)
    records: Mapping[str, KeyRecord] = field(default_factory=dict)
    identifiers: tuple[Identifier, ...] = ()
    grants: tuple[Grant, ...] = ()
    stated: frozenset[tuple[str, str]] = frozenset()
    log_keys: tuple[LogKey, ...] = ()
    ended: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of keys ever known."""
        return len(self.records)

    @cached_property
    def keyids(self) -> tuple[str, ...]:
        """The keyids in the order of the registry tree's leaves."""
        return tuple(sorted(self.records))

    @cached_property
    def _tree(self) -> merkle.Tree:
        return merkle.Tree([merkle.leaf_hash(self.records[keyid].leaf()) for keyid in self.keyids])

    def root(self) -> bytes:
        """The RFC 6962 root over the key records sorted by keyid."""
        return self._tree.root()

    def head(self) -> tuple[int, bytes]:
        """The (size, root) that a seal states."""
        return self.size, self._tree.root()

    def record(self, keyid: str) -> KeyRecord:
        """The record of a key; raises :class:`Forbidden` (rule ``unknown-key``)."""
        try:
            return self.records[keyid]
        except KeyError:
            raise Forbidden(f"expected a key the registry knows, got {keyid}", rule="unknown-key") from None

    def path(self, keyid: str) -> tuple[int, list[bytes]]:
        """The position of a key's leaf and the path that proves it under :meth:`root`."""
        self.record(keyid)
        position = bisect_left(self.keyids, keyid)
        return position, self._tree.path(position)

    def holder(self, kind: str, value: str, time_ms: int) -> str | None:
        """The member that holds exactly this identifier at a time, or None."""
        for one in self.identifiers:
            if one.kind == kind and one.value == value and one.holds_at(time_ms):
                return one.member
        return None

    def roles(self, member: str, time_ms: int) -> frozenset[str]:
        """The standing and granted roles of a member at a time, whomever the grants are for."""
        standing = self.members[member].roles if member in self.members else ()
        granted = [grant.role for grant in self.grants if grant.grantee == member and grant.holds_at(time_ms)]
        return frozenset((*standing, *granted))

    def authorise(self, envelope: UnverifiedEnvelope, time_ms: int | None) -> Authority:
        """Decide whether the signers of an envelope may state it at a seal's time (milliseconds UTC).

        Raises :class:`Forbidden` with the rule ``wrong-log``, ``unknown-key``, ``wrong-member``, ``key-retired``,
        ``key-revoked``, ``key-expired``, ``wrong-use``, ``wrong-role`` or ``wrong-signers``, and
        :class:`InvalidInput` with ``bad-signature``. A charter is authorised by :meth:`apply` alone.
        """
        statement = envelope.statement
        if self.charter is None or statement.log != self.charter.log:
            raise Forbidden("expected a statement for this log, got one for another", rule="wrong-log")
        if statement.type == "charter":
            raise Forbidden("expected the charter at index 0 only", rule="second-charter")
        proposer = self.record(statement.key)
        check_may_sign(proposer, statement.type, statement.member, time_ms)
        check_role(statement.type, self._roles_for(statement.type, proposer, time_ms))
        signers = tuple([self.record(keyid) for keyid, _ in envelope.signatures])
        self._check_signers(statement, signers, time_ms)
        verify_signatures(envelope, {record.keyid: record.key for record in signers})
        return Authority(proposer.use, signers)

    def apply(self, index: int, envelope: UnverifiedEnvelope) -> Registry | Void:
        """The registry after the registry statement at ``index``, or why it is void.

        Key ends (``until``) play no part: only keys without an end may sign registry statements.
        """
        statement = envelope.statement
        try:
            if not statement.is_registry:
                raise InvalidInput("expected a registry statement", rule="not-registry")
            if statement.type == "charter":
                following = effect.charter(self, index, envelope)
            else:
                following = self._following(index, envelope)
        except InvalidInput as error:
            return Void(error.message, error.rule)
        return replace(following, stated=self.stated | {(statement.member, statement.id)})

    def _following(self, index: int, envelope: UnverifiedEnvelope) -> Registry:
        statement = envelope.statement
        if (statement.member, statement.id) in self.stated:
            raise Conflict("expected a new statement id, got one in use", rule="duplicate-statement")
        self.authorise(envelope, None)
        return effect.EFFECTS[statement.type](self, index, statement)

    def _roles_for(self, kind: str, record: KeyRecord, time_ms: int | None) -> frozenset[str]:
        # Grants count where only recall is needed: what a bundle proves, it proves by the key's record alone.
        if time_ms is None or ROLE_FOR.get(kind) != "recall":
            return frozenset(record.roles)
        return frozenset(record.roles) | self.roles(record.member, time_ms)

    def _check_signers(
        self, statement: Statement, signers: tuple[KeyRecord, ...], time_ms: int | None
    ) -> None:
        if self.charter is None:
            raise Forbidden("expected a charter first", rule="wrong-log")
        for record in signers:
            check_may_sign(record, statement.type, record.member, time_ms)
        have = sorted([(record.use, record.member) for record in signers])
        for alternative in self.charter.signatures[statement.type]:
            if have == _required(alternative, statement) and statement.key in [one.keyid for one in signers]:
                return
        raise Forbidden("expected the signatures that the charter asks for, got others", rule="wrong-signers")


def _required(alternative: tuple[str, ...], statement: Statement) -> list[tuple[str, str]]:
    """The (use, member) of each signer that an alternative asks for; ``parties`` are members named in the body."""
    required: list[tuple[str, str]] = []
    for word in alternative:
        if word == "parties":
            required += [("member", party) for party in statement.body.get("parties", ())]
        else:
            required.append((word, statement.member))
    return sorted(set(required))
