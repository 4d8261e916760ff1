"""The organisations' lines under an own checkpoint: when they make the quorum, and the file that shows them.

What is written to `log/anchored` verifies under the policy that :func:`organisations_policy` gives, by
`ledger.verify` alone: no X.509, no protobuf. The file only grows: a larger checkpoint, or more lines under the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from ...errors import InvalidInput
from ...log.durable import DiskFiles
from ...note import (
    COSIGNATURE,
    MAX_SIGNATURES,
    Note,
    SignatureLine,
    VerifierKey,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    verify_note,
)
from ...policy import Policy, parse_policy
from ..channel import Organisation
from ..connection import Anchoring
from .face import AnchorChannel
from .published import OwnLog
from .store import AnchorStore, Kept

GROUP: Final = "orgs"
BOTH: Final = "witnesses-and-orgs"
POLICY_FILE: Final = "organisations.policy"
_LOOKED_FOR: Final = 16
"""How many own checkpoints are asked for when no event said which one got a line."""

_STAND_IN: Final = VerifierKey("log.invalid", 1, bytes(32))


class TooFew(InvalidInput):
    """Fewer organisations are registered than the quorum needs, so no checkpoint can have it."""

    default_rule = "too-few-organisations"


def counted(
    organisations: Sequence[Organisation], own: str, anchoring: Anchoring
) -> tuple[dict[str, VerifierKey], int]:
    """The cosigner keys whose lines count, by MSP id, and how many of them make the quorum.

    Without a number in the profile it is more than half of those that count.
    """
    keys = {}
    for one in organisations:
        key = _cosigner(one)
        if key is not None and (one.msp != own or anchoring.count_own):
            keys[one.msp] = key
    return dict(sorted(keys.items())), anchoring.quorum or len(keys) // 2 + 1


def organisations_policy(organisations: Sequence[Organisation], own: str, anchoring: Anchoring) -> str | None:
    """The organisations as lines of a C2SP tlog-policy without its logs; None while too few are registered for k."""
    keys, threshold = counted(organisations, own, anchoring)
    if threshold > len(keys):
        return None
    lines = [f"witness {msp} {key.text()}" for msp, key in keys.items()]
    lines += [f"group {GROUP} {threshold} {' '.join(keys)}", f"quorum {GROUP}"]
    text = "\n".join(lines) + "\n"
    parse_policy(f"log {_STAND_IN.text()}\n{text}")
    return text


def joined_policy(log_keys: Sequence[VerifierKey], organisations: str, witnesses: Policy | None) -> str:
    """The policy of a log whose checkpoints are anchored: its keys, its own witnesses, the organisations.

    Where the witnesses have a quorum of their own, both are asked for. An organisation that registered a key of the log or
    of a witness is left out: it cannot have it, and a policy has no key twice. Raises TooFew where too few are left.
    """
    lines = [f"log {key.text()}" for key in log_keys]
    known = () if witnesses is None else witnesses.witnesses.values()
    stated = _without_keys(organisations, {key.public for key in (*log_keys, *known)})
    if witnesses is None:
        return "\n".join([*lines, *stated, f"quorum {GROUP}"]) + "\n"
    rules = [line for line in witnesses.text().splitlines() if line.split()[0] not in ("log", "quorum")]
    if witnesses.quorum is None:
        return "\n".join([*lines, *rules, *stated, f"quorum {GROUP}"]) + "\n"
    both = [f"group {BOTH} all {witnesses.quorum} {GROUP}", f"quorum {BOTH}"]
    return "\n".join([*lines, *rules, *stated, *both]) + "\n"


def _without_keys(organisations: str, taken: Set[bytes]) -> list[str]:
    stated = parse_policy(f"log {_STAND_IN.text()}\n{organisations}")
    left = {msp: key for msp, key in stated.witnesses.items() if key.public not in taken}
    threshold = stated.groups[GROUP].threshold
    if threshold > len(left):
        raise _too_few(threshold, left)
    lines = [f"witness {msp} {key.text()}" for msp, key in left.items()]
    return [*lines, f"group {GROUP} {threshold} {' '.join(left)}"]


def _too_few(threshold: int, known: Iterable[str]) -> TooFew:
    names = [*known]
    return TooFew(
        f"expected {threshold} organisations on the channel whose cosignatures count, got {len(names)}:"
        f" {', '.join(names) or 'none'}"
    )


class Collector:
    """Collects the lines under own checkpoints. One caller at a time.

    `folder` gets the policy. `size` is that of the newest own checkpoint with a quorum.
    """

    def __init__(
        self,
        store: AnchorStore,
        channel: AnchorChannel,
        log: OwnLog,
        origin: str,
        msp: str,
        anchoring: Anchoring,
        folder: Path,
    ) -> None:
        self._store = store
        self._channel = channel
        self._log = log
        self._origin = origin
        self._msp = msp
        self._anchoring = anchoring
        self._policy = folder / POLICY_FILE
        self._organisations: list[Organisation] = []

    @property
    def size(self) -> int:
        """The size of the newest own checkpoint with a quorum; 0 before the first."""
        found = self._log.anchored()
        return 0 if found is None else found[0].size

    def learn(self) -> None:
        """Ask who is registered, and write the policy that follows from it.

        Raises what the channel raises, and TooFew while the quorum asks for more organisations than there are.
        """
        self._organisations = self._channel.organisations()
        text = organisations_policy(self._organisations, self._msp, self._anchoring)
        if text is None:
            keys, threshold = counted(self._organisations, self._msp, self._anchoring)
            raise _too_few(threshold, keys)
        if DiskFiles().read(self._policy) != text.encode():
            DiskFiles().write(self._policy, text.encode())

    def knows(self, msp: object) -> bool:
        """Whether an organisation was registered when they were last asked for."""
        return any(one.msp == msp for one in self._organisations)

    def gather(self) -> bool:
        """Look for the newest own checkpoint whose lines make the quorum; whether there is a new one, or more lines."""
        with self._store.turn() as turn:
            waiting = turn.waiting(_LOOKED_FOR)
        return any(self._settled(kept) for kept in waiting)

    def gather_at(self, size: int) -> bool:
        """As `gather`, for one size, of which somebody has just added a line."""
        with self._store.turn() as turn:
            kept = turn.kept(size)
        return kept is not None and self._settled(kept)

    def _settled(self, kept: Kept) -> bool:
        if not self._complete(kept.size, kept.note):
            return False
        with self._store.turn() as turn:
            turn.forget_waiting(kept.size)
        return True

    def _complete(self, size: int, data: bytes) -> bool:
        before = self._log.anchored()
        if before is not None and before[0].size > size:
            return False
        note = self._with_own_witnesses(parse_note(data))
        keys, threshold = counted(self._organisations, self._msp, self._anchoring)
        found = valid_lines(note.text, self._channel.cosignatures(self._origin, size), self._all_keys())
        if len(found.keys() & keys.keys()) < threshold:
            return False
        full = complete_note(note, found, keys)
        if (
            before is not None
            and before[0].size == size
            and len(parse_note(before[1]).signatures) >= len(full.signatures)
        ):
            return False
        self._log.write_anchored(full.data())
        return True

    def _all_keys(self) -> dict[str, VerifierKey]:
        keys = {one.msp: _cosigner(one) for one in self._organisations}
        return {msp: key for msp, key in keys.items() if key is not None}

    def _with_own_witnesses(self, note: Note) -> Note:
        """The note with the lines that its own witnesses added after it was taken."""
        found = self._log.published()
        if found is None:
            return note
        now = parse_note(found[1])
        return now if now.text == note.text else note


def valid_lines(
    text: str, lines: Mapping[str, bytes], keys: Mapping[str, VerifierKey]
) -> dict[str, SignatureLine]:
    """The cosignatures that hold under a checkpoint's text, by MSP id; what does not hold, or is nobody's, is left out."""
    found = {}
    for msp, data in lines.items():
        key = keys.get(msp)
        if key is None:
            continue
        try:
            (line,) = parse_signature_lines(data)
            verify_note(Note(text, (line,)), [key])
        except (InvalidInput, ValueError):
            continue
        found[msp] = line
    return found


def complete_note(note: Note, lines: Mapping[str, SignatureLine], first: Mapping[str, object]) -> Note:
    """The note with the organisations' lines after its own, those that count before others, as many as it has room for."""
    have = {(line.name, line.key_id) for line in note.signatures}
    order = sorted(lines, key=lambda msp: (msp not in first, msp))
    more = [lines[msp] for msp in order if (lines[msp].name, lines[msp].key_id) not in have]
    return Note(note.text, (*note.signatures, *more)[:MAX_SIGNATURES])


def _cosigner(one: Organisation) -> VerifierKey | None:
    try:
        key = parse_vkey(one.cosigner)
    except InvalidInput:
        return None
    # Under a name of its own choice an organisation could pass for another, or break the policy of all.
    return key if (key.kind, key.name) == (COSIGNATURE, one.msp) else None
