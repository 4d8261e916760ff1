"""A witness on one folder: its key, its settings, its state, and the server in front of it.

`DIR/witness.toml` names the witness and its logs, `DIR/keys/` holds its key (0600), `DIR/witness.db` what it cosigned,
`DIR/mirror/` the entries of logs that it replays, `DIR/evidence/` forks that it was handed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import uvicorn

from ledger.checkpoint import Checkpoint
from ledger.ed25519 import Signer, SigningKey, key_id
from ledger.errors import InvalidInput, LoomarkError, NotFound
from ledger.keyfile import load_signer, write_key_file
from ledger.log.durable import DiskFiles
from ledger.monitor.evidence import split_view
from ledger.witness.exchange import origin_hash
from ledger.witness.settings import (
    REPLAY_SUFFIX,
    FollowedLog,
    WitnessSettings,
    parse_settings,
    settings_text,
    with_logs,
    witness_name,
)
from ledger.witness.store import MAX_CONFLICTS, WitnessStore
from ledger.witness.witness import Replayer, Witness

from .app import create_app

SETTINGS_FILE: Final = "witness.toml"
DATABASE: Final = "witness.db"
_BACKLOG: Final = 512
_GRACE_S: Final = 5


@dataclass(frozen=True, slots=True)
class WitnessOptions:
    """What the command line tells: flags go before `witness.toml`, and what it lacks is added to it.

    `passphrase` opens an encrypted key, and encrypts one that is made.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    name: str | None = None
    logs: Sequence[FollowedLog] = ()
    replay: bool = False
    passphrase: bytes | None = field(default=None, repr=False)


def serve(options: WitnessOptions, say: Callable[[str], None]) -> None:
    """Serve until told to stop. `say` gets the vkey line and then `listening on http://H:P`."""
    os.umask(0o077)
    with _listen(options.host, options.port) as listener:
        witness, close = open_witness(options)
        try:
            config = uvicorn.Config(
                create_app(witness),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                timeout_keep_alive=30,
                h11_max_incomplete_event_size=16_384,
                limit_concurrency=256,
                ws="none",
                lifespan="off",
            )
            host, port = listener.getsockname()[:2]
            listener.listen(_BACKLOG)
            say(f"vkey {witness.vkey}")
            say(f"listening on http://{host}:{port}")
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            close()


def open_witness(options: WitnessOptions) -> tuple[Witness, Callable[[], None]]:
    """The witness of a folder, made at the first start, and what closes it. Raises InvalidInput, Unavailable."""
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = load_settings(options)
    key = _key(options.data / "keys", "replay" if options.replay else "witness", options.passphrase)
    name = settings.name or f"loomark-witness/{key_id(key.public_bytes)[:16]}"
    if settings.name is None:
        settings = replace(settings, name=name)
    with ExitStack() as closing:
        store = WitnessStore(options.data / DATABASE)
        closing.callback(store.close)
        _write_settings(options.data / SETTINGS_FILE, settings)
        replayers = _replayers(options, settings, closing)
        signed_as = name + REPLAY_SUFFIX if options.replay else name
        witness = Witness(
            store,
            signed_as,
            key,
            settings.trusted(),
            replayers=replayers,
            accuse=_Evidence(options.data / "evidence").write,
        )
        return witness, closing.pop_all().close


class _Evidence:
    """Forks as files that `loomark verify` accepts as proof, at most a few for each log: one is enough."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, head: Checkpoint, seen: bytes, refused: bytes) -> None:
        """Write that the log signed both; what cannot be written is in the database all the same."""
        log = origin_hash(head.origin)[:16]
        if len(list(self._folder.glob(f"{log}-*"))) >= MAX_CONFLICTS:
            return
        path = self._folder / f"{log}-split-view-{head.size}-{head.root.hex()[:16]}.json"
        with suppress(LoomarkError):
            if not path.exists():
                DiskFiles().write(path, split_view(seen, refused))


def load_settings(options: WitnessOptions) -> WitnessSettings:
    """`witness.toml` with what the flags add. Raises InvalidInput."""
    try:
        settings = parse_settings((options.data / SETTINGS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = WitnessSettings()
    except UnicodeDecodeError:
        raise InvalidInput("witness.toml: expected UTF-8", rule="bad-setting") from None
    if options.name is not None:
        # Its verifiers know this witness by its name: another one would be another witness.
        if settings.name not in (None, options.name):
            raise InvalidInput(
                f"expected the name {settings.name}, which this folder was made with", rule="bad-setting"
            )
        settings = replace(settings, name=witness_name(options.name))
    return with_logs(settings, options.logs)


def _write_settings(path: Path, settings: WitnessSettings) -> None:
    text = settings_text(settings)
    if not path.exists() or parse_settings(path.read_text(encoding="utf-8")) != settings:
        DiskFiles().write(path, text.encode())


def _replayers(options: WitnessOptions, settings: WitnessSettings, closing: ExitStack) -> dict[str, Replayer]:
    if not options.replay:
        return {}
    from ledger.witness.mirror import open_mirror

    replayers: dict[str, Replayer] = {}
    for log in settings.logs:
        mirror = open_mirror(options.data / "mirror", options.data, log)
        closing.callback(mirror.close)
        replayers[log.origin] = mirror
    return replayers


def _key(folder: Path, name: str, passphrase: bytes | None) -> Signer:
    """Who signs under this name, made at the first start. A replaying witness has a key of its own: its word says more."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.key"
    try:
        return load_signer(path, passphrase)
    except NotFound:
        if path.exists():
            raise
    key = SigningKey.generate()
    write_key_file(path, key, passphrase)
    return key


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener
