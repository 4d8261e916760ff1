"""Asking witnesses: the client side of C2SP tlog-witness, as one `Cosigner` for all witnesses of a policy.

    witnesses = Witnesses(policy, origin, log_keys, require=True)
    Publisher(..., cosigners=[witnesses]);  open_sequencer(..., marks=witnesses.marks)

All are asked at once. What a witness answers is believed as far as its signature goes: its own line, verified by the key
that the policy gives, is kept; anything else is a refusal that is counted. A witness that has cosigned a larger tree
than the head, or another one, is the sign of a fork: the log stops signing and says which witness told it.

The size that a witness cosigned last is remembered in memory, and learnt again at a start from what it shows or from its
409: a wrong size costs one more request, never more.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..checkpoint import Checkpoint, checkpoint_of
from ..errors import InvalidInput, Unavailable
from ..merkle import consistency_path_from, root_from
from ..note import (
    MAX_SIGNATURES,
    Note,
    SignatureLine,
    VerifierKey,
    parse_note,
    parse_signature_lines,
    verify_note,
)
from ..policy import Policy
from ..witness.exchange import ADD_CHECKPOINT, Answer, checkpoint_path, parse_size, request_bytes
from .ask import Address, HttpAddress
from .guard import Mark, ReadOnly, ReadOnlyLog
from .publish import QuorumMissing
from .tiles import TileStore, TileTree

TIMEOUT_S: Final = 5.0
STRAGGLE_S: Final = 0.25
"""How long further witnesses are waited for once the quorum is met."""

REST_S: Final = 0.5
"""How long a witness that did not cosign is let alone at first; each further time twice as long, up to a limit."""

_LONGEST_REST_S: Final = 2.0
_LONGEST_REST_OF_SLOW_S: Final = 30.0

COSIGNED: Final = "cosigned"
TIMED_OUT: Final = "timed-out"
LATE: Final = "late"
UNREACHABLE: Final = "unreachable"
GARBAGE: Final = "garbage"
AHEAD: Final = "ahead"


class WitnessCounts:
    """How witnesses answered, and how often there was no quorum. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._missed: Counter[str] = Counter()

    def count(self, witness: str, outcome: str) -> None:
        """One answer: `cosigned`, `refused-<status>`, `late`, `timed-out`, `unreachable`, `garbage` or `ahead`."""
        with self._lock:
            self._outcomes[witness, outcome] += 1

    def miss(self, then: str) -> None:
        """One publication without a quorum, which was then `withheld` or `published`."""
        with self._lock:
            self._missed[then] += 1

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Answers by witness and outcome."""
        with self._lock:
            return dict(self._outcomes)

    def missed(self) -> dict[str, int]:
        """Publications without a quorum, by what was done."""
        with self._lock:
            return dict(self._missed)


@dataclass(frozen=True, slots=True)
class _Reply:
    """What came of asking one witness: its verified line, or an outcome; and a sign of a fork, if it gave one."""

    name: str
    outcome: str
    line: SignatureLine | None = None
    mark: Mark | None = None


@dataclass(slots=True)
class _Witness:
    """One witness of the policy and what is known of it. `size` is what it cosigned last, as far as is known."""

    name: str
    key: VerifierKey
    address: Address
    size: int = 0
    busy: bool = False
    rest_s: float = 0.0
    rests_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    """What all witnesses are asked in one publication."""

    head: Checkpoint
    note: Note
    tree: TileTree
    _bodies: dict[int, bytes] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        """The size of the tree that is to be cosigned."""
        return self.head.size

    def body(self, old: int) -> bytes:
        """The request that grows from `old`, made once for all that were there; from an empty tree nothing is proved."""
        with self._making:
            if old not in self._bodies:
                grew = 0 < old < self.size
                proof = consistency_path_from(self.tree.at(self.size), old, self.size) if grew else []
                self._bodies[old] = request_bytes(old, proof, self.note.data())
            return self._bodies[old]

    def root_at(self, size: int) -> bytes:
        """The root of the first `size` entries."""
        return root_from(self.tree.at(self.size), size)


class Witnesses:
    """All witnesses of one policy, asked together. One caller at a time asks; counts and marks are for anybody.

    `require` is fail-closed: a head without a quorum is not published (QuorumMissing) and is asked for again later. Without
    it the head is published with the cosignatures there are, and the rest is asked for again later.
    """

    def __init__(
        self,
        policy: Policy,
        origin: str,
        log_keys: Callable[[], Sequence[VerifierKey]],
        *,
        require: bool = False,
        timeout_s: float = TIMEOUT_S,
        rest_s: float = REST_S,
        addresses: Mapping[str, Address] | None = None,
    ) -> None:
        self.policy = policy
        self.counts = WitnessCounts()
        self.require = require
        self._origin = origin
        self._log_keys = log_keys
        self._timeout_s = timeout_s
        self._rest_s = rest_s
        self._learning = threading.Lock()
        self._marks: dict[str, Mark] = {}
        self._probed = False
        self._tree: tuple[TileStore, TileTree] | None = None
        given = addresses or {
            name: HttpAddress(url, timeout_s) for name, url in policy.urls.items() if name in policy.witnesses
        }
        self._witnesses = [_Witness(name, policy.witnesses[name], address) for name, address in given.items()]

    def cosign(self, note: bytes, tiles: TileStore) -> Sequence[SignatureLine]:
        """The lines of all witnesses under a note, those that it carries already included.

        Raises QuorumMissing where a quorum is required and missed, ReadOnlyLog at the sign of a fork.
        """
        parsed = parse_note(note)
        have = self._lines_in(parsed)
        if self._tree is None or self._tree[0] is not tiles:
            self._tree = (tiles, TileTree(tiles))
        request = _Request(checkpoint_of(parsed), self._without_cosigners(parsed), self._tree[1])
        replies = self._ask_all(request, have)
        for reply in replies:
            if reply.mark is not None:
                raise ReadOnlyLog(self._sign_of_fork(request.head, reply.mark))
            if reply.line is not None:
                have[reply.name] = reply.line
        # Verifiers take no more lines than this, so further ones count for nothing.
        room = MAX_SIGNATURES - len(request.note.signatures)
        have = dict(list(have.items())[:room])
        if not self.policy.satisfied_by(have):
            if replies:
                self.counts.miss("withheld" if self.require else "published")
            if self.require:
                raise QuorumMissing(self._missing(have))
        return list(have.values())

    def is_lacking(self, note: bytes) -> bool:
        """Whether the cosignatures under a note make no quorum yet."""
        return not self.policy.satisfied_by(self._lines_in(parse_note(note)))

    def marks(self, _origin: str) -> Sequence[Mark]:
        """What the witnesses said they remember of this log. Only the first call asks them, all at once.

        A witness proves it by the log's own signature, or claims a size (409) without showing a checkpoint.
        """
        if not self._probed:
            self._probed = True
            self._probe_all()
        with self._learning:
            return tuple(self._marks.values())

    def close(self) -> None:
        """Let go of open connections."""
        for one in self._witnesses:
            one.address.close()

    def state(self) -> dict[str, object]:
        """What a node says of its witnesses: the quorum's name, whether it is required, and each one's last size."""
        return {
            "quorum": self.policy.quorum or "none",
            "required": self.require,
            "sizes": {one.name: one.size for one in self._witnesses},
        }

    def _lines_in(self, note: Note) -> dict[str, SignatureLine]:
        """Valid lines of the policy's witnesses that a note carries, by witness."""
        found = {}
        for name, key in self.policy.witnesses.items():
            line = _line_by(note, key)
            if line is not None:
                found[name] = line
        return found

    def _without_cosigners(self, note: Note) -> Note:
        keys = {(key.name, key.key_id) for key in self.policy.witnesses.values()}
        return Note(note.text, tuple([one for one in note.signatures if (one.name, one.key_id) not in keys]))

    def _ask_all(self, request: _Request, have: Mapping[str, SignatureLine]) -> list[_Reply]:
        """Replies in the order they come, until all are there, time is over, or a quorum has been there for a while."""
        asked = [one for one in self._witnesses if one.name not in have and self._may_ask(one)]
        replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
        for one in asked:
            one.busy = True
            threading.Thread(target=self._ask_into, args=(one, request, replies), daemon=True).start()
        waiting = {one.name: one for one in asked}
        got: list[_Reply] = []
        end = deadline = time.monotonic() + self._timeout_s
        while waiting and (left_s := deadline - time.monotonic()) > 0:
            try:
                reply = replies.get(timeout=left_s)
            except queue.Empty:
                break
            got.append(reply)
            self.counts.count(reply.name, reply.outcome)
            self._rest(waiting.pop(reply.name), reply.outcome)
            signed = [*have, *[one.name for one in got if one.line is not None]]
            if self.policy.quorum is not None and self.policy.satisfied_by(signed):
                deadline = min(deadline, time.monotonic() + STRAGGLE_S)
        for one in waiting.values():
            outcome = TIMED_OUT if deadline == end else LATE
            self.counts.count(one.name, outcome)
            self._rest(one, outcome)
        return got

    def _may_ask(self, one: _Witness) -> bool:
        return not one.busy and time.monotonic() >= one.rests_until

    def _rest(self, one: _Witness, outcome: str) -> None:
        """Let a witness alone for a while that did not cosign, longer if it made everybody wait."""
        if outcome in (COSIGNED, LATE):
            one.rest_s = 0.0
            return
        longest_s = _LONGEST_REST_OF_SLOW_S if outcome == TIMED_OUT else _LONGEST_REST_S
        one.rest_s = min(max(2 * one.rest_s, self._rest_s), longest_s)
        one.rests_until = time.monotonic() + one.rest_s

    def _ask_into(self, one: _Witness, request: _Request, replies: queue.SimpleQueue[_Reply]) -> None:
        """Ask one witness in a thread of its own; whatever happens there, it is no longer busy and has replied."""
        reply = _Reply(one.name, UNREACHABLE)
        try:
            reply = self._ask(one, request)
            if reply.line is not None:
                one.size = request.size
        except TimeoutError:
            reply = _Reply(one.name, TIMED_OUT)
        except InvalidInput:
            reply = _Reply(one.name, GARBAGE)
        except Unavailable:
            pass
        finally:
            one.busy = False
            replies.put(reply)

    def _ask(self, one: _Witness, request: _Request) -> _Reply:
        """Ask one witness; a 409 is answered once, by asking again from the size that it names."""
        answer = one.address.post(ADD_CHECKPOINT, request.body(min(one.size, request.size)))
        if answer.status == 409:
            size = parse_size(answer.body)
            if size > request.size:
                return _Reply(one.name, AHEAD, mark=self._learn_ahead(one, size))
            one.size = size
            answer = one.address.post(ADD_CHECKPOINT, request.body(size))
        if answer.status == 200:
            return _Reply(one.name, COSIGNED, line=_own_line(request.note, answer, one.key))
        mark = self._learn_other(one, request) if answer.status in (409, 422) else None
        return _Reply(one.name, f"refused-{answer.status}" if mark is None else AHEAD, mark=mark)

    def _learn_ahead(self, one: _Witness, size: int) -> Mark:
        """The mark of a witness that says it cosigned a larger tree: what it shows, else what it claims."""
        shown = self._shown(one)
        if shown is None or shown.size < size:
            return self._learn(Mark(f"witness {one.name}", self._origin, size, None))
        return self._learn(Mark.of(f"witness {one.name}", shown))

    def _learn_other(self, one: _Witness, request: _Request) -> Mark | None:
        """The mark of a witness that shows, signed by this log, a tree which is not part of this one."""
        shown = self._shown(one)
        if shown is None or (
            shown.size <= request.size and (shown.size == 0 or request.root_at(shown.size) == shown.root)
        ):
            return None
        return self._learn(Mark.of(f"witness {one.name}", shown))

    def _learn(self, mark: Mark) -> Mark:
        with self._learning:
            self._marks[mark.name] = mark
        return mark

    def _shown(self, one: _Witness) -> Checkpoint | None:
        """The checkpoint that a witness shows on its monitoring path, if this log signed it."""
        try:
            answer = one.address.get(checkpoint_path(self._origin))
            if answer.status != 200:
                return None
            note = parse_note(answer.body)
            verify_note(note, self._log_keys())
            head = checkpoint_of(note)
        except (InvalidInput, Unavailable, TimeoutError):
            return None
        return head if head.origin == self._origin else None

    def _probe_all(self) -> None:
        threads = [threading.Thread(target=self._probe, args=(one,), daemon=True) for one in self._witnesses]
        deadline = time.monotonic() + self._timeout_s
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _probe(self, one: _Witness) -> None:
        shown = self._shown(one)
        if shown is not None and shown.size:
            one.size = shown.size
            self._learn(Mark.of(f"witness {one.name}", shown))

    def _sign_of_fork(self, head: Checkpoint, mark: Mark) -> ReadOnly:
        if mark.root is None:
            return ReadOnly(
                mark.name,
                f"the head is behind: size {head.size} after {mark.size}, which it claims without showing a checkpoint;"
                " if it is the witness that is wrong, take it from the policy",
            )
        if mark.size > head.size:
            return ReadOnly(mark.name, f"the head is behind: size {head.size} after {mark.size}")
        return ReadOnly(mark.name, f"the head is different: another root at size {mark.size}")

    def _missing(self, have: Mapping[str, SignatureLine]) -> str:
        names = ", ".join(have) or "none"
        return f"expected the quorum {self.policy.quorum} of witnesses, got cosignatures by {names}; it is asked again"


def _line_by(note: Note, key: VerifierKey) -> SignatureLine | None:
    lines = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    try:
        verify_note(Note(note.text, tuple(lines)), [key])
    except InvalidInput:
        return None
    return lines[0]


def _own_line(note: Note, answer: Answer, key: VerifierKey) -> SignatureLine:
    """The witness's line in its answer, verified; raises InvalidInput, so a false line never reaches a checkpoint."""
    line = _line_by(Note(note.text, parse_signature_lines(answer.body)), key)
    if line is None:
        raise InvalidInput(
            "expected a valid cosignature by the witness that was asked", rule="note-signature"
        )
    return line
