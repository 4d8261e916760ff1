"""Asks one peer's gateway, and knows what may be asked again, for how long, and what a failure means.

What changes nothing (evaluate, endorse, commit status) is asked again while the network says that it cannot serve now. An
endorsed transaction is sent to be ordered again too, as the same transaction: its id makes a second copy void. From the
moment of the first try on its outcome is known only by its commit status, so every other end is :class:`OutcomeUnknown`.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ..errors import TooLarge
from . import wire
from .channel import Channel, Committed, RawEvent
from .connection import Peer, Profile, load_tls
from .errors import (
    BadAnswer,
    ChaincodeRefused,
    Conflict,
    IdentityRefused,
    Invalidated,
    NetworkAway,
    OutcomeUnknown,
    PeerMessage,
)
from .identity import Identity

NONCE_BYTES: Final = 24
CONFLICTS: Final = frozenset({"MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"})
MOST_BAD_STREAMS: Final = 3
LONGEST_LOOK_S: Final = 5.0
MOST_ARGUMENT_BYTES: Final = 16 * 1024 * 1024
"""A peer passes 100 MiB on to a chaincode, which is the arguments twice; for more it breaks the stream for all."""

# What a network says that is starting, choosing a leader, out of step for a moment, or has too much to do.
_PASSING = frozenset({"UNAVAILABLE", "FAILED_PRECONDITION", "ABORTED", "RESOURCE_EXHAUSTED"})
_REFUSAL = re.compile(r"chaincode response ([1-9][0-9]{2}), (.*)", re.DOTALL)
_RULE = re.compile(r"([a-z0-9][a-z0-9-]{0,63}): (.*)", re.DOTALL)
# The peer has no status of its own for these; its words are all there is.
_IDENTITY_WORDS = (
    "access denied",
    "client identity expired",
    "request unauthorized",
    "policy evaluation failed",
    "signature set did not satisfy policy",
    "status=FORBIDDEN",
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for one answer of each kind, and (``away_s``) for a network to serve again.

    A network whose orderers were restarted takes transactions again after 10 s or more.
    """

    evaluate_s: float = 15.0
    endorse_s: float = 30.0
    submit_s: float = 20.0
    commit_s: float = 60.0
    away_s: float = 15.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 2.0


@dataclass(slots=True)
class _Attempts:
    """Pauses between attempts that grow, until the time for them is over; nothing waits once `closing` is set."""

    patience: Patience
    closing: threading.Event
    seconds: float
    _pause: float = field(init=False)
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._pause = self.patience.first_pause_s
        self._end = time.monotonic() + self.seconds

    @property
    def left_s(self) -> float:
        """The time that is left, never nothing."""
        return max(self._end - time.monotonic(), 0.05)

    def another(self) -> bool:
        """Wait; whether there is time for another attempt."""
        pause, self._pause = self._pause, min(self._pause * 1.6, self.patience.longest_pause_s)
        return time.monotonic() + pause < self._end and not self.closing.wait(pause)


class Gateway:
    """The gateway of one peer. Safe to share by threads; a call waits no longer than `Patience` says."""

    def __init__(
        self,
        peer: Peer,
        identity: Identity,
        channel: str,
        chaincode: str,
        *,
        others: Sequence[Peer] = (),
        patience: Patience | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """``others`` are other organisations' peers: who of them endorses nothing is named when too few endorse."""
        self.peer = peer
        self._others = [each for each in others if each.msp != peer.msp]
        self._identity = identity
        self._channel = channel
        self._chaincode = chaincode
        self._patience = patience or Patience()
        self._now_ns = now_ns
        self._closing = threading.Event()
        tls = load_tls(peer)
        self._binding = tls.binding if tls is not None else b""
        self._line = wire.Line(peer, tls)

    def evaluate(self, function: str, args: Sequence[bytes]) -> bytes:
        """What the chaincode answers, on this peer's state or on that of another peer of its organisation."""

        def once() -> bytes:
            request = wire.evaluate_request(self._propose(function, args), self.peer.msp)
            status, message, payload = wire.evaluated(
                self._line.ask(wire.EVALUATE, request, self._patience.evaluate_s)
            )
            if not 200 <= status < 400:
                raise _refused(status, message)
            return payload

        return self._patiently(once)

    def endorse(
        self, function: str, args: Sequence[bytes], organisations: Sequence[str] = ()
    ) -> wire.Endorsed:
        """An endorsed transaction that is not ordered: by exactly ``organisations``, or as the channel's policy asks."""

        def once() -> wire.Endorsed:
            # A fresh proposal each time: its time must be near the peer's, however long the network was away.
            proposal = self._propose(function, args)
            request = wire.endorse_request(proposal, organisations)
            return wire.endorsed(self._line.ask(wire.ENDORSE, request, self._patience.endorse_s), proposal)

        try:
            return self._patiently(once)
        except NetworkAway as away:
            # A peer that gets too few endorsements, or waits for one, says so and not for whose.
            missing = [] if away.details or organisations else self._missing(function, args)
            if not missing:
                raise
            raise NetworkAway(str(away), missing) from None

    def submit(self, transaction: wire.Endorsed) -> None:
        """Have an endorsed transaction ordered; the orderer has it, and no more is known, when this returns.

        Raises :class:`OutcomeUnknown`: a try that failed may have reached the orderer all the same.
        """
        signature = self._identity.sign(transaction.payload)
        request = wire.submit_request(self._channel, transaction, signature)
        try:
            self._patiently(
                lambda: wire.submitted(self._line.ask(wire.SUBMIT, request, self._patience.submit_s))
            )
        except (BadAnswer, NetworkAway, IdentityRefused, ChaincodeRefused) as error:
            raise _unknown(transaction.tx_id, error) from error

    def outcome(self, tx_id: str) -> Committed:
        """What this peer says became of a transaction, of any code; waits until it knows.

        Raises :class:`NetworkAway` when it does not know it in time.
        """
        request = wire.commit_status_request(self._identity, self._channel, tx_id)
        # A connection may break any number of times while a block is awaited; the time for all of it is one.
        attempts = _Attempts(self._patience, self._closing, self._patience.commit_s)
        while True:
            try:
                said = wire.commit_status(self._line.ask(wire.COMMIT_STATUS, request, attempts.left_s))
                return Committed(tx_id, said.block, said.code)
            except wire.CallFailed as failure:
                error = self._judged(failure)
                if failure.code not in _PASSING or not attempts.another():
                    raise error from None

    def commit(self, transaction: wire.Endorsed) -> Committed:
        """Have a transaction ordered and wait until it is valid; raises as :class:`Channel` says."""
        self.submit(transaction)
        try:
            said = self.outcome(transaction.tx_id)
        except (BadAnswer, NetworkAway, IdentityRefused, ChaincodeRefused) as error:
            raise _unknown(transaction.tx_id, error) from error
        if said.code == "VALID":
            return said
        kind = Conflict if said.code in CONFLICTS else Invalidated
        raise kind(said.tx_id, said.block, said.code)

    def transact(self, function: str, args: Sequence[bytes]) -> Committed:
        """Endorse, order and await one transaction."""
        return self.commit(self.endorse(function, args))

    def events(self, after: tuple[int, str] | None, stop: threading.Event) -> Iterator[RawEvent]:
        """Events after a position, none twice; connects again and goes on where it was, until ``stop`` is set.

        Raises :class:`IdentityRefused`, and :class:`BadAnswer` when the peer sends what is no stream of events
        three times in a row.
        """
        position = _Position(after)
        attempts = _Attempts(self._patience, self._closing, float("inf"))
        bad = 0
        while not (stop.is_set() or self._closing.is_set()):
            try:
                for event in self._listen(position, stop):
                    bad = 0
                    attempts.restart()
                    yield event
            except BadAnswer:
                bad += 1
                if bad >= MOST_BAD_STREAMS:
                    raise
            except wire.CallFailed as failure:
                error = self._judged(failure)
                if isinstance(error, IdentityRefused) and not stop.is_set():
                    raise error from None
            if not stop.is_set():
                attempts.another()

    def blocks(
        self, method: str, kind: str, first: int, last: int | None, stop: threading.Event
    ) -> Iterator[object]:
        """Delivered messages of one stream (see `blocks`), without a second connection."""
        request = wire.seek_request(
            self._identity, self._channel, first, last, self._binding, self._nonce(), self._moment()
        )
        ended = threading.Event()
        try:
            with self._until(
                stop, ended, lambda: self._line.exchange(method, _open(request, ended))
            ) as answers:
                for data in answers:
                    message = wire.delivered(data, kind)
                    if message is None:
                        return
                    yield message
        except wire.CallFailed as failure:
            if stop.is_set():
                return
            raise self._judged(failure) from None

    def close(self) -> None:
        """Let go of the connection; calls that wait end with :class:`NetworkAway`."""
        self._closing.set()
        self._line.close()

    def _listen(self, position: _Position, stop: threading.Event) -> Iterator[RawEvent]:
        request = wire.events_request(
            self._identity, self._channel, self._chaincode, position.block, position.tx_id
        )
        with self._until(
            stop, threading.Event(), lambda: self._line.listen(wire.CHAINCODE_EVENTS, request)
        ) as answers:
            for data in answers:
                for event in wire.events(data, self._chaincode):
                    if position.moves_to(event):
                        yield event

    @contextmanager
    def _until(
        self, stop: threading.Event, ended: threading.Event, start: Callable[[], wire.Listening]
    ) -> Iterator[Iterator[bytes]]:
        """A stream's answers until ``stop``: whoever waits for the next one is woken by its cancellation."""
        stream = start()

        def watch() -> None:
            while not ended.wait(0.2):
                if stop.is_set() or self._closing.is_set():
                    stream.cancel()
                    return

        watcher = threading.Thread(target=watch, name="hyperledger-stream", daemon=True)
        watcher.start()
        try:
            yield iter(stream)
        finally:
            ended.set()
            stream.cancel()

    def _patiently(self, once: Callable[[], _Answer]) -> _Answer:
        attempts = _Attempts(self._patience, self._closing, self._patience.away_s)
        while True:
            try:
                return once()
            except wire.CallFailed as failure:
                error = self._judged(failure)
                if not self._passes(failure, error) or not attempts.another():
                    raise error from None

    def _passes(self, failure: wire.CallFailed, error: Exception) -> bool:
        if isinstance(error, ChaincodeRefused):
            # This organisation's peer has endorsed and only others refused: their state may be a block behind. A
            # peer that answers by itself names nobody.
            return bool(failure.details) and all(each.msp != self.peer.msp for each in failure.details)
        return isinstance(error, NetworkAway) and failure.code in _PASSING

    def _judged(self, failure: wire.CallFailed) -> ChaincodeRefused | IdentityRefused | NetworkAway:
        said = [failure.message, *[each.message for each in failure.details]]
        for words in reversed(said):
            refusal = _REFUSAL.search(words)
            if refusal is not None:
                return _refused(int(refusal[1]), refusal[2], failure.details)
        denied = failure.code in ("PERMISSION_DENIED", "UNAUTHENTICATED")
        if denied or any(phrase in words for words in said for phrase in _IDENTITY_WORDS):
            return IdentityRefused("; ".join([failure.message, *map(str, failure.details)]))
        return NetworkAway(failure.message, failure.details)

    def _propose(self, function: str, args: Sequence[bytes]) -> wire.Proposal:
        words = [function.encode(), *args]
        if (given := sum(map(len, words))) > MOST_ARGUMENT_BYTES:
            raise TooLarge(f"expected arguments of at most {MOST_ARGUMENT_BYTES} bytes, got {given}")
        return wire.propose(
            self._identity, self._channel, self._chaincode, words, self._nonce(), self._moment()
        )

    def _missing(self, function: str, args: Sequence[bytes]) -> list[PeerMessage]:
        """Which organisations endorse nothing now, and what is said of each; only the own one, where it does not."""

        def said(peer: Peer) -> PeerMessage | None:
            request = wire.endorse_request(self._propose(function, args), [peer.msp])
            try:
                self._line.ask(wire.ENDORSE, request, min(self._patience.endorse_s, LONGEST_LOOK_S))
            except wire.CallFailed as failure:
                if isinstance(self._judged(failure), NetworkAway):
                    return PeerMessage(peer.endpoint, peer.msp, f"endorses nothing now: {failure.message}")
            return None

        if not self._others or self._closing.is_set():
            return []
        own = said(self.peer)
        if own is not None:
            return [own]
        with ThreadPoolExecutor(len(self._others)) as pool:
            return [each for each in pool.map(said, self._others) if each is not None]

    def _nonce(self) -> bytes:
        return secrets.token_bytes(NONCE_BYTES)

    def _moment(self) -> wire.Moment:
        return wire.Moment(self._now_ns())


class _Position:
    """Where in the channel the last event was; a peer that goes back is not believed."""

    def __init__(self, after: tuple[int, str] | None) -> None:
        self.block, self.tx_id = after or (0, "")
        self._seen = {self.tx_id}

    def moves_to(self, event: RawEvent) -> bool:
        """Move to an event; False where it was told before."""
        if event.block < self.block:
            raise BadAnswer(f"expected events of block {self.block} or later, got block {event.block}")
        if event.block == self.block and event.tx_id in self._seen:
            return False
        if event.block > self.block:
            self._seen = set()
        self._seen.add(event.tx_id)
        self.block, self.tx_id = event.block, event.tx_id
        return True


def open_gateway(profile: Profile, peer: Peer | None = None, *, patience: Patience | None = None) -> Gateway:
    """A gateway to a profile's own peer, or to another of its peers; connects when it is first asked."""
    return Gateway(
        peer or profile.peer,
        profile.load_identity(),
        profile.channel,
        profile.chaincode,
        others=(profile.peer, *profile.peers),
        patience=patience,
    )


def open_channel(profile: Profile, peer: Peer | None = None, *, patience: Patience | None = None) -> Channel:
    """The channel of a profile by its own peer, or by another; raises :class:`BadProfile`, never waits."""
    return Channel(open_gateway(profile, peer, patience=patience))


def open_peers(profile: Profile, *, patience: Patience | None = None) -> dict[str, Channel]:
    """The channel by each of a profile's peers, its own first, by ``MSP ENDPOINT``: whom `confirm` asks."""
    return {
        f"{peer.msp} {peer.endpoint}": open_channel(profile, peer, patience=patience)
        for peer in (profile.peer, *profile.peers)
    }


def _refused(status: int, message: str, details: Sequence[PeerMessage] = ()) -> ChaincodeRefused:
    ruled = _RULE.fullmatch(message)
    if ruled is None:
        return ChaincodeRefused(status, ChaincodeRefused.default_rule, message, details)
    return ChaincodeRefused(status, ruled[1], ruled[2], details)


def _unknown(tx_id: str, error: Exception) -> OutcomeUnknown:
    details: tuple[PeerMessage, ...] = error.details if isinstance(error, NetworkAway) else ()
    return OutcomeUnknown(f"what became of transaction {tx_id} is not known: {error}", tx_id, details)


def _open(request: bytes, ended: threading.Event) -> Iterator[bytes]:
    """One request on a stream that stays open until ``ended``: a peer reads its end as the wish to end."""
    yield request
    while not ended.wait(0.5):
        pass
