"""The typed face of the chaincode: what Loomark asks of a channel, and nothing else of Hyperledger Fabric.

A `Channel` asks one peer and believes it no more than one peer: `confirm` asks several organisations' peers what became
of a transaction, and names who says something else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from .. import shape
from ..canonical import JSON, canonical, parse_json
from ..checkpoint import checkpoint_of
from ..errors import InvalidInput, LoomarkError
from ..note import parse_note
from .errors import BadAnswer, ChaincodeRefused

MOST_HISTORY: Final = 100
MOST_ORGANISATIONS: Final = 10_000
MOST_TEXT: Final = 262_144
NOTHING_ANCHORED: Final = "nothing-anchored"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Organisation:
    """What an organisation registered: its MSP id, its logs' vkeys by origin, and its cosigner's vkey."""

    msp: str
    origins: Mapping[str, tuple[str, ...]]
    cosigner: str


@dataclass(frozen=True, slots=True)
class Anchored:
    """A checkpoint that the channel accepted.

    ``note`` is the log's checkpoint with the log's own verified lines only; ``proof`` (32-byte hashes) showed that the
    tree of ``size`` entries with ``root`` extends the one of ``start`` entries.
    """

    origin: str
    size: int
    root: bytes
    msp: str
    start: int
    note: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction that the asked peer says is valid, and the number of its block. ``code`` is ``VALID``."""

    tx_id: str
    block: int
    code: str


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """An event of a transaction that the asked peer says is valid; (``block``, ``tx_id``) is where to resume after."""

    name: str
    block: int
    tx_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One chaincode event as a peer sent it."""

    name: str
    block: int
    tx_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What several organisations' peers say became of one transaction, and why the others said nothing.

    ``answers`` is by the names under which the peers were asked.
    """

    tx_id: str
    answers: Mapping[str, Committed]
    silent: Mapping[str, str]

    @property
    def is_disputed(self) -> bool:
        """Whether two peers contradict each other: one of them lies, or they are not on one channel."""
        return len({(said.block, said.code) for said in self.answers.values()}) > 1

    def agreeing(self) -> list[str]:
        """Who says that it is valid, where nobody says anything else; otherwise nobody."""
        if self.is_disputed or any(said.code != "VALID" for said in self.answers.values()):
            return []
        return sorted(self.answers)


class PeerGateway(Protocol):
    """What a channel asks one peer; safe to share by threads, with a deadline on every call. See `gateway.Gateway`."""

    def evaluate(self, function: str, args: Sequence[bytes]) -> bytes:
        """What the chaincode answers on the peer's state."""

    def transact(self, function: str, args: Sequence[bytes]) -> Committed:
        """Endorse, order and await one transaction."""

    def outcome(self, tx_id: str) -> Committed:
        """What the peer says became of a transaction, of any code."""

    def events(self, after: tuple[int, str] | None, stop: threading.Event) -> Iterator[RawEvent]:
        """Events after a position, until ``stop``."""

    def close(self) -> None:
        """Let go of the connection."""


class Channel:
    """One channel's chaincode by way of one peer. Safe to share by threads; every call has a deadline.

    Every method raises :class:`NetworkAway`, :class:`BadAnswer`, :class:`IdentityRefused` and
    :class:`ChaincodeRefused`; those that return :class:`Committed` also raise :class:`OutcomeUnknown`,
    :class:`Invalidated` and its :class:`Conflict`.
    """

    def __init__(self, gateway: PeerGateway) -> None:
        self._gateway = gateway

    def organisations(self) -> list[Organisation]:
        """Every registered organisation, by MSP id."""
        return self._read("organisations:list", [], _organisations)

    def register(self, origins: Mapping[str, Sequence[str]], cosigner: str) -> Committed:
        """Register the caller's organisation: vkeys by origin, and its cosigner's vkey. Needs an admin's identity."""
        listed: JSON = {name: [*vkeys] for name, vkeys in origins.items()}
        registration = canonical({"origins": listed, "cosigner": cosigner})
        return self._gateway.transact("organisations:register", [registration])

    def latest(self, origin: str) -> tuple[int, bytes] | None:
        """Size and root of the newest accepted checkpoint; None where there is none."""
        try:
            return self._read("checkpoints:latest", [origin.encode()], _head)
        except ChaincodeRefused as refused:
            if _is_absence(refused):
                return None
            raise

    def at(self, origin: str, size: int) -> Anchored | None:
        """The accepted checkpoint of exactly that size; None where there is none."""
        try:
            return self._read(
                "checkpoints:at",
                [origin.encode(), b"%d" % size],
                lambda value: anchored_of(value, origin, size),
            )
        except ChaincodeRefused as refused:
            if _is_absence(refused):
                return None
            raise

    def history(self, origin: str, after: int = 0, limit: int = MOST_HISTORY) -> list[Anchored]:
        """Accepted checkpoints larger than ``after``, smallest first, at most ``limit`` (1-100) of them."""
        arguments = [origin.encode(), b"%d" % after, b"%d" % limit]
        return self._read(
            "checkpoints:history", arguments, lambda value: _history(value, origin, after, limit)
        )

    def submit(self, note: bytes, proof: Sequence[bytes]) -> Committed:
        """Submit a checkpoint with its consistency proof from the latest accepted one; empty for the first."""
        hashes = canonical([shape.base64_text(one) for one in proof])
        return self._gateway.transact("checkpoints:submit", [note, hashes])

    def cosign(self, origin: str, size: int, line: bytes) -> Committed:
        """Add the organisation's cosignature line to an accepted checkpoint."""
        return self._gateway.transact("checkpoints:cosign", [origin.encode(), b"%d" % size, line])

    def cosignatures(self, origin: str, size: int) -> dict[str, bytes]:
        """The cosignature lines of an accepted checkpoint, by MSP id."""
        arguments = [origin.encode(), b"%d" % size]
        return self._read("checkpoints:cosignatures", arguments, _lines)

    def outcome(self, tx_id: str) -> Committed:
        """What the peer says became of a transaction, of any code; :class:`NetworkAway` when it does not know in time."""
        return self._gateway.outcome(tx_id)

    def events(self, after: tuple[int, str] | None, *, stop: threading.Event) -> Iterator[ChannelEvent]:
        """Events after (block, transaction id), or all from the first block for None, until ``stop`` is set.

        Reconnects and resumes by itself; yields no event twice. Ends by ``stop`` or `close`, or raises
        :class:`IdentityRefused`, and :class:`BadAnswer` for a peer that sends no events of this chaincode.
        """
        for event in self._gateway.events(after, stop):
            payload = _read(event.payload, f"the payload of event {event.name}", _object)
            yield ChannelEvent(event.name, event.block, event.tx_id, payload)

    def close(self) -> None:
        """Let go of the connection; calls that wait end with :class:`NetworkAway`."""
        self._gateway.close()

    def _read(self, function: str, args: Sequence[bytes], reader: Callable[[JSON], _Value]) -> _Value:
        return _read(self._gateway.evaluate(function, args), f"the result of {function}", reader)


def confirm(tx_id: str, peers: Mapping[str, Channel]) -> Confirmation:
    """What became of a transaction, asked of several organisations' peers at once.

    Validity is written by each peer and signed by nobody: one peer alone can say what it likes, and is exposed by
    another that says something else. A peer that does not answer is ``silent`` and proves nothing.
    """
    with ThreadPoolExecutor(max_workers=max(len(peers), 1)) as pool:
        asked = {name: pool.submit(_answer, channel, tx_id) for name, channel in peers.items()}
        said = {name: future.result() for name, future in asked.items()}
    return Confirmation(
        tx_id,
        {name: each for name, each in said.items() if isinstance(each, Committed)},
        {name: each for name, each in said.items() if isinstance(each, str)},
    )


def _answer(channel: Channel, tx_id: str) -> Committed | str:
    try:
        return channel.outcome(tx_id)
    except LoomarkError as error:
        return str(error)


def _read(data: bytes, what: str, reader: Callable[[JSON], _Value]) -> _Value:
    try:
        return reader(parse_json(data))
    except InvalidInput as error:
        raise BadAnswer(f"{what} is not what this chaincode answers: {error.message}") from error


def _is_absence(refused: ChaincodeRefused) -> bool:
    # Another 404 than this one, such as for an unknown function, is no answer to the question.
    return refused.status == 404 and refused.rule == NOTHING_ANCHORED


def _object(value: JSON) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise InvalidInput("expected an object", rule="bad-shape")
    return value


def _organisations(value: JSON) -> list[Organisation]:
    return [_organisation(each) for each in shape.array(value, "organisations", 0, MOST_ORGANISATIONS)]


def _organisation(value: JSON) -> Organisation:
    read = shape.members(value, "organisation", frozenset({"msp", "origins", "cosigner"}))
    origins = {
        name: tuple([shape.text(vkey, "vkey") for vkey in shape.array(vkeys, "origin")])
        for name, vkeys in _object(read["origins"]).items()
    }
    return Organisation(shape.text(read["msp"], "msp"), origins, shape.text(read["cosigner"], "cosigner"))


def _head(value: JSON) -> tuple[int, bytes]:
    read = shape.members(value, "latest", frozenset({"size", "root"}))
    return shape.count(read["size"], "size", 1), shape.hex_bytes(read["root"], "root")


def anchored_of(value: JSON, origin: str, size: int) -> Anchored:
    """The checkpoint in a record of the chaincode, of this ``origin`` at this ``size``; raises :class:`InvalidInput`."""
    read = shape.members(value, "checkpoint", frozenset({"from", "msp", "note", "proof"}))
    note = shape.text(read["note"], "note", MOST_TEXT).encode()
    head = checkpoint_of(parse_note(note))
    # The key says which checkpoint this is and the note says it too: a record that answers another question is refused.
    if (head.origin, head.size) != (origin, size):
        raise InvalidInput(f"expected the checkpoint of {origin} at {size}, got another", rule="bad-shape")
    proof = [shape.base64_bytes(each, "proof", 32) for each in shape.array(read["proof"], "proof", 0, 64)]
    start = shape.count(read["from"], "from")
    return Anchored(origin, size, head.root, shape.text(read["msp"], "msp"), start, note, tuple(proof))


def _history(value: JSON, origin: str, after: int, limit: int) -> list[Anchored]:
    found = []
    for each in shape.array(value, "history", 0, limit):
        record = {**_object(each)}
        size = shape.count(record.pop("size", None), "size", after + 1)
        found.append(anchored_of(record, origin, size))
        after = size
    return found


def _lines(value: JSON) -> dict[str, bytes]:
    return {msp: shape.text(line, "line").encode() for msp, line in _object(value).items()}
