"""Statements and captures signed on the member's own machine, and what their signer has seen of the log.

Every statement says which checkpoint its member had verified last, so members are witnesses too. The log's key is pinned
at first use; from then on each new checkpoint must be signed by that key, or by one that it announced, and must extend
the one before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ledger.canonical import JSON
from ledger.capture import CAPTURE_SALT_SIZE_BYTES
from ledger.checkpoint import Checkpoint, checkpoint_of
from ledger.commitment import RECORD_SALT_SIZE_BYTES
from ledger.ed25519 import Signer, key_id
from ledger.errors import InvalidInput, VerificationError
from ledger.key_change import extended_policy, parse_evidence
from ledger.keyfile import load_signer
from ledger.merkle import consistency_path_from, verify_consistency
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.policy import parse_policy
from ledger.shape import time_text
from ledger.statement import Statement, payload_bytes, sign_statement
from ledger.submission import build_submission
from ledger.tile import TILE_HEIGHT, TILE_WIDTH, Tile, hash_reader, split_hashes

from .calls import Call, Flow, accepted

_STEP = 5


@dataclass(frozen=True, slots=True)
class Pinned:
    """The log that a signing key belongs to: its verifier key and the last checkpoint verified."""

    vkey: str
    origin: str
    size: int
    root: bytes


class Memory(Protocol):
    """What a signer has seen, kept between runs. One writer at a time; what `save` was given is durable on return."""

    def load(self) -> Pinned | None:
        """What was saved last; None before the first time."""

    def save(self, pinned: Pinned) -> None:
        """Keep it in the place of what was."""


class FileMemory:
    """A memory in one small JSON file. `load` raises InvalidInput where it holds something else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Pinned | None:
        """What was saved last; None before the first time."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return Pinned(found["vkey"], found["origin"], int(found["size"]), bytes.fromhex(found["root"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{self._path} is not what was written there; remove it to pin anew", rule="bad-file"
            ) from error

    def save(self, pinned: Pinned) -> None:
        """Keep it in the place of what was."""
        value = {
            "vkey": pinned.vkey,
            "origin": pinned.origin,
            "size": pinned.size,
            "root": pinned.root.hex(),
        }
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(value) + "\n", encoding="utf-8")
        fresh.replace(self._path)


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs, and where what they saw of the log is remembered."""

    signer: Signer
    memory: Memory

    @classmethod
    def of_key_file(cls, path: Path, passphrase: bytes | None = None) -> Signing:
        """Sign with a key file; the memory lies beside it, as `PATH.log`. Raises as `ledger.keyfile.load_signer`."""
        return cls(load_signer(path, passphrase), FileMemory(path.with_name(path.name + ".log")))


def see(memory: Memory) -> Flow[Pinned]:
    """Verify the node's newest checkpoint against what was seen before, and remember it.

    Raises VerificationError where the log signed with another key, shrank or forked.
    """
    before = memory.load()
    if before is None:
        vkey = (yield from _text("/log/vkey")).partition("\n")[0]
    else:
        vkey = before.vkey
    note = (yield from _get("/log/checkpoint")).content
    if before is not None and not _is_signed(note, vkey):
        vkey = _successor(vkey, (yield from _get("/log/key-changes")).content)
    checkpoint = _verified(note, vkey)
    if before is not None:
        yield from _check_growth(before, checkpoint)
    pinned = Pinned(vkey, checkpoint.origin, checkpoint.size, checkpoint.root)
    memory.save(pinned)
    return pinned


def now_text() -> str:
    """This machine's clock as the formats write it."""
    return time_text(int(datetime.now(UTC).timestamp() * 1000))


def signed_statement(pinned: Pinned, kind: str, member: str, key: Signer, body: Mapping[str, JSON]) -> bytes:
    """The envelope of one statement, to post to `/api/statements`."""
    statement = Statement(
        kind,
        pinned.origin,
        member,
        key_id(key.public_bytes),
        secrets.token_hex(16),
        now_text(),
        (pinned.size, pinned.root),
        body,
    )
    return sign_statement(payload_bytes(statement), [key])


def signed_submission(
    document: bytes, member: str, key: Signer, pinned: Pinned, keep_wrong_check_digits: bool = False
) -> bytes:
    """Commit to a document's records and sign them on this machine: the body of a member-signed capture."""
    from fabric.epcis.document import Reading, media_type_of, read_document

    reading = Reading(keep_bad_check_digits=keep_wrong_check_digits)
    read = read_document(document, media_type_of(document), reading)
    records = [record.committed for record in read.records]
    return build_submission(
        document,
        records,
        _contexts(records),
        key=key,
        log=pinned.origin,
        member=member,
        seen=(pinned.size, pinned.root),
        issued=now_text(),
        capture_salt=secrets.token_bytes(CAPTURE_SALT_SIZE_BYTES),
        record_salts=[secrets.token_bytes(RECORD_SALT_SIZE_BYTES) for _ in records],
        statement_id=secrets.token_hex(16),
    )


def _contexts(records: list[dict[str, Any]]) -> dict[str, str | None]:
    bound = (entry for record in records for entry in record["@context"] if isinstance(entry, dict))
    return {entry["url"]: entry["sha256"] for entry in bound if entry.keys() == {"url", "sha256"}}


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


def _check_growth(before: Pinned, now: Checkpoint) -> Flow[None]:
    if now.size < before.size:
        raise VerificationError(
            f"expected a log of at least {before.size} entries, as seen before, got {now.size}",
            _STEP,
            "/checkpoint",
        )
    tiles = {} if now.size == before.size else (yield from _tiles(before.size, now.size))
    try:
        path = (
            []
            if now.size == before.size
            else consistency_path_from(
                hash_reader(lambda level, index: tiles[level, index]), before.size, now.size
            )
        )
        verify_consistency(before.size, now.size, path, before.root, now.root)
    except InvalidInput as error:
        raise VerificationError(
            f"the log of {now.size} entries does not extend the one of {before.size} seen before",
            _STEP,
            "/checkpoint",
        ) from error


def _tiles(before: int, now: int) -> Flow[dict[tuple[int, int], list[bytes]]]:
    """The tiles that the proof from one size to another reads, asked for one after the other as it meets them."""
    known: dict[tuple[int, int], list[bytes]] = {}

    def read(level: int, index: int) -> list[bytes]:
        if (level, index) not in known:
            raise _Missing(level, index)
        return known[level, index]

    while True:
        try:
            consistency_path_from(hash_reader(read), before, now)
        except _Missing as missing:
            level, index = missing.level, missing.index
            held = (now >> (TILE_HEIGHT * level)) - index * TILE_WIDTH
            path = Tile(level, index, min(held, TILE_WIDTH)).path
            known[level, index] = split_hashes((yield from _get(f"/log/tile/{path}")).content)
        else:
            return known


class _Missing(Exception):
    """A tile that has to be asked for first."""

    def __init__(self, level: int, index: int) -> None:
        super().__init__(level, index)
        self.level, self.index = level, index


def _get(path: str) -> Flow[Any]:
    return accepted((yield Call("GET", path)))


def _text(path: str) -> Flow[str]:
    answer = yield from _get(path)
    return str(answer.text)
