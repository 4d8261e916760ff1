"""What a signer has seen of a log: every statement says which checkpoint its member had verified last.

So members are witnesses too. The log's key is pinned at first use, in a file beside the signing key; from
then on each new checkpoint must be signed by that key, or by one that it announced, and must extend the one before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ledger.checkpoint import Checkpoint, checkpoint_of
from ledger.errors import InvalidInput, VerificationError
from ledger.key_change import extended_policy, parse_evidence
from ledger.merkle import consistency_path_from, verify_consistency
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.policy import parse_policy
from ledger.tile import TILE_HEIGHT, TILE_WIDTH, Tile, hash_reader, split_hashes

from .client import Node

_STEP = 5


@dataclass(frozen=True)
class Pinned:
    """The log that a signing key belongs to: its verifier key and the last checkpoint verified."""

    vkey: str
    origin: str
    size: int
    root: bytes


def see(node: Node, key_file: Path) -> Pinned:
    """Verify the node's newest checkpoint against what `key_file`'s owner saw before, and remember it.

    Raises VerificationError where the log signed with another key, shrank or forked.
    """
    memory = key_file.with_name(key_file.name + ".log")
    before = _load(memory)
    vkey = before.vkey if before else node.get("/log/vkey").text.partition("\n")[0]
    note = node.get("/log/checkpoint").content
    if before is not None and not _is_signed(note, vkey):
        vkey = _successor(vkey, node.get("/log/key-changes").content)
    checkpoint = _verified(note, vkey)
    if before is not None:
        _check_growth(node, before, checkpoint)
    pinned = Pinned(vkey, checkpoint.origin, checkpoint.size, checkpoint.root)
    _save(memory, pinned)
    return pinned


def _verified(note_data: bytes, vkey: str) -> Checkpoint:
    try:
        note = parse_note(note_data)
        verify_note(note, [parse_vkey(vkey)])
        return checkpoint_of(note)
    except InvalidInput as error:
        raise VerificationError(
            f"the checkpoint is not signed by the log key pinned earlier: {error.message}", 9, "/checkpoint"
        ) from error


def _is_signed(note_data: bytes, vkey: str) -> bool:
    key = parse_vkey(vkey)
    return (key.name, key.key_id) in [(line.name, line.key_id) for line in parse_note(note_data).signatures]


def _successor(vkey: str, evidence: bytes) -> str:
    """The log's newest key that the pinned one leads to, by what each signed of the next; the pinned one at worst."""
    policy, _ = extended_policy(f"log {vkey}\nquorum none\n", parse_evidence(evidence))
    return parse_policy(policy).logs[-1].text()


def _check_growth(node: Node, before: Pinned, now: Checkpoint) -> None:
    if now.size < before.size:
        raise VerificationError(
            f"expected a log of at least {before.size} entries, as seen before, got {now.size}",
            _STEP,
            "/checkpoint",
        )
    try:
        path = (
            []
            if now.size == before.size
            else consistency_path_from(_tiles(node, now.size), before.size, now.size)
        )
        verify_consistency(before.size, now.size, path, before.root, now.root)
    except InvalidInput as error:
        raise VerificationError(
            f"the log of {now.size} entries does not extend the one of {before.size} seen before",
            _STEP,
            "/checkpoint",
        ) from error


def _tiles(node: Node, size: int):  # type: ignore[no-untyped-def]
    def read_tile(level: int, index: int) -> list[bytes]:
        held = (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH
        path = Tile(level, index, min(held, TILE_WIDTH)).path
        return split_hashes(node.get(f"/log/tile/{path}").content)

    return hash_reader(read_tile)


def _load(memory: Path) -> Pinned | None:
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        return Pinned(found["vkey"], found["origin"], int(found["size"]), bytes.fromhex(found["root"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{memory} is not what this command wrote; remove it to pin anew", rule="bad-file"
        ) from error


def _save(memory: Path, pinned: Pinned) -> None:
    value = {"vkey": pinned.vkey, "origin": pinned.origin, "size": pinned.size, "root": pinned.root.hex()}
    fresh = memory.with_name(memory.name + ".new")
    fresh.write_text(json.dumps(value) + "\n", encoding="utf-8")
    fresh.replace(memory)
