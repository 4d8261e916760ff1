"""A copy of a node's data from which a node can start again, taken beside the running node (docs/operating.md).

    loomark.db       the database at one moment, its newest head included
    log/             a published checkpoint of that database, and every tile and bundle that it implies
    node.toml        the settings, and witnesses.policy, where the folder has these files
    keys/            private keys, only when asked for
    manifest.json    written last: what the copy holds, and the SHA-256 of each file

Never the high-water file, nor what is remembered of witnesses: a backup that brought its own marks along would be
believed, and the log would have two histories. So a restored backup is read-only until somebody tells it what was
signed last.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fabric.store.engine import reader_engine
from ledger.canonical import parse_json
from ledger.checkpoint import Checkpoint
from ledger.errors import Conflict, InvalidInput, NotFound, Unavailable
from ledger.log.database import read_head, registry_entries
from ledger.log.durable import DiskFiles
from ledger.log.fsck import check_log
from ledger.log.plan import replayed_registry
from ledger.log.publish import CHECKPOINT_FILE, verified_checkpoint
from ledger.log.tiles import TileStore
from ledger.note import VerifierKey
from ledger.shape import time_text
from ledger.tile import TILE_HEIGHT, TILE_WIDTH, Tile

from .witnessing import POLICY_FILE

MANIFEST: Final = "manifest.json"
FORMAT: Final = "loomark/backup/v1"
_DATABASE: Final = "loomark.db"
# Without its witnesses a restored node would sign unseen by those who know best what was signed last.
_SETTINGS: Final = ("node.toml", POLICY_FILE)
_KEYS: Final = "keys"
_SESSION: Final = "session.key"
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: its newest head, the checkpoint beside it, and its files by name with their digests."""

    head: Checkpoint
    published: Checkpoint | None
    time: str
    keys: bool
    files: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The manifest as a JSON object."""
        return {
            "backup": FORMAT,
            "log": self.head.origin,
            "head": _pair(self.head),
            "checkpoint": None if self.published is None else _pair(self.published),
            "time": self.time,
            "keys": self.keys,
            "files": self.files,
        }


def back_up(data: Path, database: Path, target: Path, *, now_ms: int, keys: bool = False) -> Backup:
    """Copy the node in folder `data` to `target`, which must be empty or absent.

    Only connections that cannot write are used, so a node may run; its journal grows while the database is copied.
    A copy that was interrupted has no manifest. Raises Conflict for a folder with something in it, Unavailable.
    """
    if not database.is_file():
        raise Unavailable(f"expected a database at {database}, got none")
    if target.exists() and any(target.iterdir()):
        raise Conflict(f"expected an empty folder for the backup, got {target}", rule="backup-exists")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.chmod(0o700)
    # The checkpoint first: whatever is published later, the database copied after it has all that it covers.
    note = DiskFiles().read(data / "log" / CHECKPOINT_FILE)
    _copy_database(database, target / _DATABASE)
    head, log_keys = _log_of(target / _DATABASE)
    published = None if note is None else verified_checkpoint(note, *log_keys)
    if published is not None and published.size > head.size:
        raise Unavailable(
            f"expected a database that has all of the published {published.size} entries, got one of {head.size}"
        )
    if published is not None and note is not None:
        _copy_tiles(data / "log", target / "log", published.size)
        DiskFiles().write(target / "log" / CHECKPOINT_FILE, note)
    for path in _others(data, keys):
        _copy_private(path, target / path.relative_to(data))
    made = Backup(head, published, time_text(now_ms), keys, dict(_digests(target)))
    DiskFiles().write(target / MANIFEST, json.dumps(made.as_json(), indent=1).encode() + b"\n")
    return made


def verify_backup(target: Path) -> Backup:
    """Read a backup as a restore would: every file, the database, every entry and tile of its checkpoint.

    Raises InvalidInput with the first file that is missing, additional or different, or the first fault of the log.
    """
    made = _parse((target / MANIFEST).read_bytes() if (target / MANIFEST).is_file() else None, target)
    found = dict(_digests(target))
    for name in sorted({*found, *made.files}):
        if found.get(name) != made.files.get(name):
            what = "missing" if name not in found else "additional" if name not in made.files else "different"
            raise InvalidInput(f"expected the files of the manifest, got {name} {what}", rule="bad-backup")
    head, log_keys = _log_of(target / _DATABASE)
    if head != made.head:
        raise InvalidInput(
            "expected the head of the manifest, got another in the database", rule="bad-backup"
        )
    if made.published is not None:
        _check_log(target, log_keys)
    return made


def _check_log(target: Path, log_keys: Sequence[VerifierKey]) -> None:
    engine = reader_engine(target / _DATABASE)
    try:
        report = check_log(engine, target / "log", log_keys)
    finally:
        engine.dispose()
    if report.faults:
        first = report.faults[0]
        raise InvalidInput(f"{first.place}: {first.message}", rule="bad-backup")


def _copy_database(database: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            # One file that lies still, and nothing beside it; a node that starts on it makes its journal again.
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"the database cannot be copied: {error}") from error
    copy.chmod(0o600)
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def _log_of(database: Path) -> tuple[Checkpoint, list[VerifierKey]]:
    engine = reader_engine(database, pool_size=1)
    try:
        with engine.connect() as connection:
            head = read_head(connection)
            registry = replayed_registry(head.origin, registry_entries(connection, 0, head.size))
    finally:
        engine.dispose()
    return head, [one.vkey for one in registry.log_keys]


def _copy_tiles(log: Path, copy: Path, size: int) -> None:
    """Every hash tile of the tree of `size` entries and every full bundle; narrower ones are cut from wider."""
    source, files = TileStore(log), DiskFiles()
    for tile in _tiles(size):
        data = source.read(tile)
        if data is None:
            raise Unavailable(f"expected tile {tile.path}, got none: restart the node, which writes it again")
        files.write(copy / "tile" / tile.path, data)


def _tiles(size: int) -> Iterator[Tile]:
    for index in range(size // TILE_WIDTH):
        yield Tile("entries", index)
    level, nodes = 0, size
    while nodes:
        for index in range(nodes // TILE_WIDTH):
            yield Tile(level, index)
        if nodes % TILE_WIDTH:
            yield Tile(level, nodes // TILE_WIDTH, nodes % TILE_WIDTH)
        level, nodes = level + 1, nodes >> TILE_HEIGHT


def _others(data: Path, keys: bool) -> list[Path]:
    found = [data / name for name in _SETTINGS if (data / name).is_file()]
    if keys:
        # The key of browser sessions opens nothing that is worth keeping: people log in again.
        found += [path for path in (data / _KEYS).rglob("*") if path.is_file() and path.name != _SESSION]
    return sorted(found)


def _copy_private(path: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(path.read_bytes())
        file.flush()
        os.fsync(handle)


def _digests(target: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(target.rglob("*")):
        name = path.relative_to(target).as_posix()
        if path.is_file() and name != MANIFEST:
            digest = sha256()
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
            yield name, digest.hexdigest()


def _pair(head: Checkpoint) -> list[Any]:
    return [head.size, head.root.hex()]


def _parse(data: bytes | None, target: Path) -> Backup:
    if data is None:
        raise NotFound(f"expected a backup with a manifest in {target}, got none: it was not finished")
    try:
        value = parse_json(data)
        if value["backup"] != FORMAT:
            raise InvalidInput(f"expected a backup of format {FORMAT}", rule="bad-backup")
        heads = [
            None
            if value[name] is None
            else Checkpoint(value["log"], value[name][0], bytes.fromhex(value[name][1]))
            for name in ("head", "checkpoint")
        ]
        if heads[0] is None or type(value["keys"]) is not bool:
            raise InvalidInput("expected a head and whether keys are there", rule="bad-backup")
        files = {str(name): str(digest) for name, digest in value["files"].items()}
        return Backup(heads[0], heads[1], str(value["time"]), value["keys"], files)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput("expected a manifest as `loomark backup` writes it", rule="bad-backup") from error
