"""Evidence that a log misbehaved (``loomark/misbehaviour/v1``): what it signed contradicts itself or the rules.

docs/spec/misbehaviour.md defines the format. Everything rests on the log's own signatures over tree heads, so no
evidence can be made against a log that kept the rules, by whomever. The steps, numbered alike here, there and in errors:

1. strict parse, limits (:func:`parse_misbehaviour`);
2. a ``log`` key of the policy signed each checkpoint, all of one origin;
3. the opened tree has the size and the root of the last checkpoint;
4. what is shown is a contradiction of the kind that is claimed.

::

    found = verify_misbehaviour(parse_misbehaviour(data), parse_policy(policy_text))
    print(found.kind, found.proves, found.means)

A log that only refuses, delays or withholds leaves no such evidence; nor does an answer that it did not sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import contradiction, shape
from .bundle import Step
from .canonical import JSON, canonical, parse_json
from .checkpoint import Checkpoint, checkpoint_of
from .contradiction import ProvenKey
from .errors import InvalidInput, VerificationError
from .key_record import key_record_of
from .note import Note, VerifierKey, parse_note, verify_note
from .opened_tree import Item, OpenedTree, items_json, items_of
from .policy import Policy

MISBEHAVIOUR = "loomark/misbehaviour/v1"
MAX_MISBEHAVIOUR_BYTES = 67_108_864

SPLIT_VIEW = "split-view"
INCONSISTENT = "inconsistent-growth"
FALSE_SEAL = "false-seal"
VOID_STATEMENT = "void-statement"
DUPLICATE_ID = "duplicate-id"
BAD_ENTRY = "bad-entry"

STEPS: Mapping[int, str] = {
    1: "strict parse and limits",
    2: "the log's signatures",
    3: "the tree that was signed",
    4: "the contradiction",
}

_SHAPES: Mapping[str, tuple[int, int]] = {
    SPLIT_VIEW: (2, 0),
    INCONSISTENT: (2, 0),
    FALSE_SEAL: (1, 1),
    VOID_STATEMENT: (1, 1),
    DUPLICATE_ID: (1, 2),
    BAD_ENTRY: (1, 1),
}
"""For each kind the number of checkpoints and of entries at fault."""

MEANS: Mapping[str, str] = {
    SPLIT_VIEW: "whoever holds the log's key showed different readers different histories: no proof against either"
    " checkpoint says what others see, until it is settled which one stands",
    INCONSISTENT: "whoever holds the log's key rewrote what it had signed: entries below the smaller size were changed,"
    " removed or added afterwards",
    FALSE_SEAL: "the log stated a registry, an order or a time that its own entries refute: which keys were in force"
    " under this seal is not what its proofs say",
    VOID_STATEMENT: "the log took in a statement that by its own registry had no authority; it has no effect, and the"
    " operator could know that when it gave the index",
    DUPLICATE_ID: "the log took in one statement identity twice: a statement was replayed, or replaced by another",
    BAD_ENTRY: "the log took in bytes that are no statement and no seal in their one spelling: readers may differ on"
    " what they say",
}


@dataclass(frozen=True, slots=True)
class UnverifiedMisbehaviour:
    """Well-formed evidence; nothing in it is verified. ``tree`` is empty where no tree is needed."""

    kind: str
    notes: tuple[Note, ...]
    heads: tuple[Checkpoint, ...]
    at: tuple[int, ...]
    tree: tuple[Item, ...]
    key: ProvenKey | None


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Evidence that holds; only :func:`verify_misbehaviour` makes it.

    ``rule`` is the stable slug of the broken rule, ``proves`` what is shown and ``means`` what follows from it.
    ``cosigners`` names, for each checkpoint, the witnesses of the policy whose cosignature on it holds.
    """

    kind: str
    origin: str
    sizes: tuple[int, ...]
    at: tuple[int, ...]
    rule: str
    proves: str
    means: str
    cosigners: tuple[tuple[str, ...], ...]

    def as_json(self) -> dict[str, JSON]:
        """The verdict as a JSON object."""
        return {
            "kind": self.kind,
            "log": self.origin,
            "sizes": list(self.sizes),
            "entries": list(self.at),
            "rule": self.rule,
            "proves": self.proves,
            "means": self.means,
            "cosigners": [list(names) for names in self.cosigners],
        }


def misbehaviour_bytes(
    kind: str,
    checkpoints: Sequence[bytes],
    at: Sequence[int] = (),
    tree: Sequence[Item] = (),
    key: ProvenKey | None = None,
) -> bytes:
    """The canonical bytes of evidence; its parts are taken as they are. Raises :class:`InvalidInput`."""
    value: dict[str, JSON] = {
        "misbehaviour": MISBEHAVIOUR,
        "kind": kind,
        "checkpoints": [note.decode("utf-8", "replace") for note in checkpoints],
    }
    if at:
        value["at"] = list(at)
    if tree:
        value["tree"] = items_json(tree)
    if key is not None:
        path = [one.hex() for one in key.path]
        value["key"] = {"position": key.position, "record": key.record.as_json(), "path": path}
    return canonical(value)


def parse_misbehaviour(data: bytes) -> UnverifiedMisbehaviour:
    """Step 1: the evidence in these bytes; raises :class:`VerificationError` with the place at fault."""
    if len(data) > MAX_MISBEHAVIOUR_BYTES:
        raise VerificationError(f"expected a file of at most {MAX_MISBEHAVIOUR_BYTES} bytes", 1, "")
    with Step(1, ""):
        value = parse_json(data)
    return misbehaviour_of(value)


def misbehaviour_of(value: JSON) -> UnverifiedMisbehaviour:
    """Step 1 for a value that was parsed by :func:`ledger.canonical.parse_json`."""
    with Step(1, ""):
        kind, obj = _members(value)
    notes_count, at_count = _SHAPES[kind]
    with Step(1, "/checkpoints"):
        texts = shape.array(obj["checkpoints"], "checkpoints", notes_count, notes_count)
        notes = tuple([parse_note(shape.text(one, "checkpoint", 1 << 20).encode()) for one in texts])
        heads = tuple([checkpoint_of(note) for note in notes])
    with Step(1, "/at"):
        at = tuple(
            [shape.count(one, "at") for one in shape.array(obj.get("at", []), "at", at_count, at_count)]
        )
    with Step(1, "/tree"):
        tree = items_of(obj["tree"]) if kind != SPLIT_VIEW else ()
    with Step(1, "/key"):
        key = _key(obj["key"]) if "key" in obj else None
    return UnverifiedMisbehaviour(kind, notes, heads, at, tree, key)


def _members(value: JSON) -> tuple[str, dict[str, JSON]]:
    required = frozenset({"misbehaviour", "kind", "checkpoints"})
    obj = shape.members(value, "evidence", required, frozenset({"at", "tree", "key"}))
    if obj["misbehaviour"] != MISBEHAVIOUR:
        raise InvalidInput(f"expected {MISBEHAVIOUR}, got another format", rule="bad-version")
    kind = shape.choice(obj["kind"], "kind", frozenset(_SHAPES))
    wanted = required | ({"at"} if _SHAPES[kind][1] else set()) | ({"tree"} if kind != SPLIT_VIEW else set())
    optional = frozenset({"key"}) if kind == VOID_STATEMENT else frozenset()
    return kind, shape.members(value, kind, frozenset(wanted), optional)


def _key(value: JSON) -> ProvenKey:
    obj = shape.members(value, "key", frozenset({"position", "record", "path"}))
    position = shape.count(obj["position"], "position")
    return ProvenKey(position, key_record_of(obj["record"]), shape.hash_path(obj["path"], "path"))


def verify_misbehaviour(evidence: UnverifiedMisbehaviour, policy: Policy) -> Misbehaviour:
    """Steps 2 to 4; raises :class:`VerificationError` with step and place where the evidence does not hold.

    The quorum of the policy plays no part: what the log signed binds it, cosigned or not.
    """
    origin = evidence.heads[0].origin
    for number, note in enumerate(evidence.notes):
        with Step(2, f"/checkpoints/{number}"):
            _check_signed(note, evidence.heads[number], origin, policy)
    opened = None
    if evidence.kind != SPLIT_VIEW:
        with Step(3, "/tree"):
            opened = _opened(evidence)
    with Step(4, ""):
        rule, proves = _contradiction(evidence, opened)
    return Misbehaviour(
        evidence.kind,
        origin,
        tuple([head.size for head in evidence.heads]),
        evidence.at,
        rule,
        proves,
        MEANS[evidence.kind],
        tuple([_cosigners(note, policy) for note in evidence.notes]),
    )


def _check_signed(note: Note, head: Checkpoint, origin: str, policy: Policy) -> None:
    if head.origin != origin:
        raise InvalidInput("expected checkpoints of one log, got two origins", rule="wrong-log")
    verify_note(note, policy.log_keys(note, origin))


def _cosigners(note: Note, policy: Policy) -> tuple[str, ...]:
    return tuple([name for name, key in policy.witnesses.items() if _has_cosigned(note, key)])


def _has_cosigned(note: Note, key: VerifierKey) -> bool:
    try:
        return bool(verify_note(note, [key]))
    except InvalidInput:
        return False


def _opened(evidence: UnverifiedMisbehaviour) -> OpenedTree:
    head = evidence.heads[-1]
    opened = OpenedTree(evidence.tree, evidence.heads[0].size)
    if (opened.size, opened.root) != (head.size, head.root):
        raise InvalidInput(
            f"expected the tree of size {head.size} that was signed, got another of size {opened.size}",
            rule="merkle-inclusion",
        )
    return opened


def _contradiction(evidence: UnverifiedMisbehaviour, opened: OpenedTree | None) -> tuple[str, str]:
    old, new = evidence.heads[0], evidence.heads[-1]
    if opened is None:
        return _split_view(old, new)
    if evidence.kind == INCONSISTENT:
        return _inconsistent(old, new, opened)
    shown = contradiction.Shown(evidence.heads[0].origin, opened.size, opened.entries)
    if evidence.kind == VOID_STATEMENT:
        return contradiction.void_statement(shown, evidence.at[0], evidence.key)
    return _IN_ENTRIES[evidence.kind](shown, *evidence.at)


_IN_ENTRIES: Mapping[str, Callable[..., tuple[str, str]]] = {
    FALSE_SEAL: contradiction.false_seal,
    DUPLICATE_ID: contradiction.duplicate_id,
    BAD_ENTRY: contradiction.bad_entry,
}


def _split_view(one: Checkpoint, other: Checkpoint) -> tuple[str, str]:
    if one.size != other.size or one.root == other.root:
        raise InvalidInput("expected one size with two roots, got no contradiction", rule="no-contradiction")
    return SPLIT_VIEW, f"the log signed two trees of size {one.size}: {one.root.hex()} and {other.root.hex()}"


def _inconsistent(old: Checkpoint, new: Checkpoint, opened: OpenedTree) -> tuple[str, str]:
    earlier = opened.earlier
    if old.size >= new.size or earlier is None or earlier == old.root:
        raise InvalidInput(
            "expected a tree that had another root at the smaller size, got no contradiction",
            rule="no-contradiction",
        )
    proves = (
        f"the log signed the root {old.root.hex()} at size {old.size}; the tree of size {new.size} that it signed"
        f" had the root {earlier.hex()} there"
    )
    return INCONSISTENT, proves
