"""Checkpoints of the registered logs: accepted only when signed, and only when they extend what was accepted before.

``latest/<origin>`` is read and written by every submission on purpose. Of two checkpoints submitted at once one
finds at commit that its read is out of date and becomes void, whatever it proves: so no two of them can both extend
the same tree, and the history of an origin is one line.
"""

from __future__ import annotations

from ledger import merkle, shape
from ledger.canonical import JSON, canonical, parse_json
from ledger.checkpoint import Checkpoint, checkpoint_of
from ledger.errors import Conflict, Forbidden, InvalidInput, NotFound
from ledger.note import (
    Note,
    SignatureLine,
    VerifierKey,
    note_bytes,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    verify_note,
)

from . import arguments, keys, organisations
from .refusal import BrokenState, Contradiction
from .stub import Stub

MAX_NOTE_BYTES = 131_072
MAX_PROOF_BYTES = 4_096
MAX_LINE_BYTES = 1_024
MAX_HISTORY = 100


def submit(stub: Stub, note: bytes, proof: bytes) -> JSON:
    """Accept a checkpoint of the caller's log with the proof that it extends the latest one."""
    msp = arguments.msp_id(stub.creator.msp)
    parsed, path = parse_note(note), _parse_proof(proof)
    head = checkpoint_of(parsed)
    lines = _own_lines(parsed, _keys_of(stub, msp, arguments.origin(head.origin)))
    start = _require_extends(head, path, arguments.stored(stub, keys.latest(head.origin)))
    accepted = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "msp": msp}
    record = {
        "from": start,
        "msp": msp,
        "note": note_bytes(parsed.text, lines).decode(),
        "proof": [shape.base64_text(one) for one in path],
    }
    arguments.store(stub, keys.checkpoint(head.origin, head.size), record)
    arguments.store(stub, keys.latest(head.origin), {"size": head.size, "root": head.root.hex()})
    stub.set_event("checkpoint", canonical(accepted))
    return accepted


def latest(stub: Stub, origin: bytes) -> JSON:
    """Size and root of the latest checkpoint of an origin; 404 before the first."""
    return arguments.found(
        stub, keys.latest(_origin(origin)), "nothing-anchored", "an origin with a checkpoint"
    )


def at(stub: Stub, origin: bytes, size: bytes) -> JSON:
    """The record of the checkpoint at one size; reads exactly one key."""
    return _record(stub, _origin(origin), arguments.size(size, "size", 1))


def history(stub: Stub, origin: bytes, after: bytes, limit: bytes) -> JSON:
    """The records of checkpoints larger than ``after``, smallest first, at most ``limit`` of them."""
    most = arguments.size(limit, "limit", 1, MAX_HISTORY)
    start, end = keys.checkpoints_after(_origin(origin), arguments.size(after, "after"))
    read = stub.get_state_by_range(start, end, most)
    return [{"size": int(keys.last_part(key)), **arguments.parsed(raw)} for key, raw in read]


def cosign(stub: Stub, origin: bytes, size: bytes, line: bytes) -> JSON:
    """Keep the cosignature of the caller's organisation under an accepted checkpoint, once and for all."""
    name, at_size = _origin(origin), arguments.size(size, "size", 1)
    parsed = _parse_line(line)
    msp = arguments.msp_id(stub.creator.msp)
    cosigner = parse_vkey(organisations.require_registered(stub, msp)["cosigner"])
    note = _stored_note(_record(stub, name, at_size))
    _verified(Note(note.text, (parsed,)), [cosigner])
    key = keys.cosignature(name, at_size, msp)
    if stub.get_state(key) is not None:
        raise Conflict("expected a checkpoint that this organisation did not cosign", rule="already-cosigned")
    told = {"origin": name, "size": at_size, "msp": msp}
    stub.put_state(key, parsed.text().encode())
    stub.set_event("cosignature", canonical(told))
    return told


def cosignatures(stub: Stub, origin: bytes, size: bytes) -> JSON:
    """The cosignature lines under a checkpoint, by MSP id; empty where there is none."""
    found = stub.get_state_by_range(*keys.cosignatures(_origin(origin), arguments.size(size, "size", 1)))
    return {keys.last_part(key): _line_text(raw) for key, raw in found}


def _origin(raw: bytes) -> str:
    return arguments.origin(arguments.utf8(raw, "origin", arguments.MAX_NAME_BYTES))


def _parse_proof(raw: bytes) -> tuple[bytes, ...]:
    items = shape.array(parse_json(raw), "proof", 0, merkle.MAX_PATH_HASHES)
    return tuple([shape.base64_bytes(one, "proof", merkle.HASH_SIZE_BYTES) for one in items])


def _parse_line(raw: bytes) -> SignatureLine:
    lines = parse_signature_lines(raw)
    # The parser puts a text before the lines; bytes with an empty line in them would have another text there.
    if len(lines) != 1 or lines[0].text().encode() != raw:
        raise InvalidInput("expected one cosignature line with its newline", rule="bad-note")
    return lines[0]


def _keys_of(stub: Stub, msp: str, origin: str) -> list[VerifierKey]:
    """The keys of an origin; 404 where nobody registered it, 403 where it is another organisation's."""
    known = arguments.found(stub, keys.origin(origin), "unknown-origin", "a registered origin")
    if known["msp"] != msp:
        raise Forbidden("expected a checkpoint of the caller's log, got another's", rule="not-owner")
    return [parse_vkey(one) for one in known["vkeys"]]


def _own_lines(note: Note, listed: list[VerifierKey]) -> tuple[SignatureLine, ...]:
    """The note's lines by these keys, verified; lines by others are left out of what is kept."""
    _verified(note, listed)
    known = {(key.name, key.key_id) for key in listed}
    return tuple([line for line in note.signatures if (line.name, line.key_id) in known])


def _verified(note: Note, listed: list[VerifierKey]) -> None:
    try:
        verify_note(note, listed)
    except InvalidInput as error:
        raise Forbidden(error.message, rule=error.rule) from None


def _require_extends(head: Checkpoint, path: tuple[bytes, ...], last: JSON | None) -> int:
    """The size that ``head`` grew from, 0 for the first; raises where it does not extend the latest checkpoint."""
    if head.size == 0:
        raise InvalidInput("expected a tree with entries, got the empty one", rule="empty-tree")
    if last is None:
        if path:
            raise Contradiction("expected no consistency proof for the first checkpoint", rule="consistency")
        return 0
    size, root = _tree(last)
    if head.size == size and head.root == root:
        raise Conflict("expected a new checkpoint, got the latest one", rule="already-anchored")
    if head.size == size:
        raise Contradiction("expected the accepted root at this size, got another", rule="fork")
    if head.size < size:
        raise Conflict(f"expected a size above {size}, got {head.size}", rule="stale")
    if not merkle.is_consistent(size, head.size, path, root, head.root):
        raise Contradiction(f"expected a consistency proof from size {size}, got another", rule="consistency")
    return size


def _tree(last: JSON) -> tuple[int, bytes]:
    try:
        return shape.count(last["size"], "size", 1), shape.hex_bytes(last["root"], "root")
    except (InvalidInput, KeyError, TypeError):
        raise BrokenState("a latest checkpoint in the state is not one") from None


def _record(stub: Stub, origin: str, size: int) -> JSON:
    value = arguments.stored(stub, keys.checkpoint(origin, size))
    if value is None:
        raise NotFound("expected the size of an accepted checkpoint, got another", rule="nothing-anchored")
    return value


def _stored_note(record: JSON) -> Note:
    try:
        return parse_note(record["note"].encode())
    except InvalidInput:
        raise BrokenState("a checkpoint in the state is not a note") from None


def _line_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BrokenState("a cosignature in the state is not text") from None
