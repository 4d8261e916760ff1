"""One node behind HTTP: opens the core on its folder, serves it, stops in order.

Stop (SIGTERM, Ctrl-C): accept nothing more, finish requests within 10 s, drain the writer, end the children.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final

import structlog
import uvicorn

from fabric.capture.companion import Companion
from fabric.capture.keyring import KeySources
from fabric.capture.node import DATABASE, NodeSettings, exit_on_failure, open_node
from fabric.capture.prepare import Limits
from fabric.capture.witnessing import WitnessSettings
from fabric.graph.projector import Projector
from ledger.errors import InvalidInput

from .app import create_app
from .epcis.uri_limit import ShortAddresses
from .passphrase import passphrase_of
from .settings import Settings, not_in_file, write_settings

GRACE_S: Final = 10
_SECRET_SIZE_BYTES: Final = 32
_BACKLOG: Final = 2048
_SOCKET_BYTES: Final = 65_536


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until told to stop. `say` gets the two lines that scripts wait for.

    Prints `LOOMARK_OPERATOR_KEY=…` at the first start, then `listening on http://H:P`.
    """
    _log_to_stderr()
    # Everything in the folder is its owner's alone: records, keys, the graph.
    os.umask(0o077)
    listener = _listen(settings.host, settings.port)
    signals = _Signals()
    with signals.handled(), listener, open_node(node_settings(settings), on_failure=_end) as node:
        write_settings(settings)
        if elsewhere := not_in_file(settings):
            structlog.get_logger().warning("settings-not-in-node-toml", settings=elsewhere)
        if node.new_operator_key is not None:
            say(f"LOOMARK_OPERATOR_KEY={node.new_operator_key}")
        app = create_app(node, settings, _session_secret(settings.data / "keys" / "session.key"))
        config = uvicorn.Config(
            app,
            log_config=None,
            http=ShortAddresses,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=30,
            ws="websockets-sansio",
            # What a client says has no meaning, and compression is work that it could make for this node.
            ws_max_size=_SOCKET_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
        )
        server = signals.server = uvicorn.Server(config)
        host, port = listener.getsockname()[:2]
        # Whoever reads the line may connect at once; uvicorn takes those connections when it runs.
        listener.listen(_BACKLOG)
        say(f"listening on http://{host}:{port}")
        with app.state.services.subscribing.deliveries:
            server.run(sockets=[listener])


class _Stopped(BaseException):
    """A signal asked the node to stop before it served."""


class _Signals:
    """Turns SIGTERM and Ctrl-C into an orderly stop: what was begun is ended by its own clean-up.

    While uvicorn serves it takes the signals itself, and raises them again once it has finished: without a
    handler below its own, the process would end right there, with the writer not drained and children left.
    """

    server: uvicorn.Server | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals during the block; a stop that comes before serving ends the block at once."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        except _Stopped:
            pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.server is None:
            raise _Stopped
        self.server.should_exit = True


def _end(error: BaseException) -> None:
    # Only the next start can tell what was stored, so the process ends here; its log says why.
    structlog.get_logger().critical("writer-failed", error="".join(traceback.format_exception(error)))
    exit_on_failure(error)


def node_settings(settings: Settings) -> NodeSettings:
    """What the core is told of the node's settings."""
    return NodeSettings(
        data=settings.data,
        origin=settings.origin,
        operator_key=settings.operator_key,
        database=settings.database,
        workers=settings.prepare_processes,
        limits=Limits(body_bytes=settings.capture_limit_bytes, events=settings.capture_limit_events),
        high_water=settings.high_water_file,
        witnesses=WitnessSettings(
            None if settings.witness_policy is None else Path(settings.witness_policy),
            settings.witness_require,
            settings.witness_timeout_s,
        ),
        companions=(
            Projector(settings.data / "graph", settings.database or settings.data / DATABASE),
            *_anchors(settings),
        ),
        keys=key_sources(settings),
        anchors=settings.hyperledger is not None,
    )


def _anchors(settings: Settings) -> list[Companion]:
    """The process that anchors the log, where there is a profile. Raises InvalidInput for a profile that cannot be used."""
    if settings.hyperledger is None:
        return []
    if find_spec("grpc") is None or find_spec("fabric_protos") is None:
        raise InvalidInput(
            "anchoring on Hyperledger Fabric needs the extra: pip install 'loomark[hyperledger]'",
            rule="no-extra",
        )
    from ledger.hyperledger.anchor.companion import AnchorProcess, AnchorSettings
    from ledger.hyperledger.connection import load_profile

    from .cli.log_http import HttpLog

    profile = Path(settings.hyperledger)
    load_profile(profile)
    passphrase = key_sources(settings).passphrase
    return [AnchorProcess(AnchorSettings(settings.data, settings.origin, profile, HttpLog, passphrase))]


def key_sources(settings: Settings) -> KeySources:
    """Where the node's keys come from besides its folder. Raises InvalidInput for a passphrase file that others read."""
    passphrase = passphrase_of(settings.key_passphrase, settings.key_passphrase_file)
    return KeySources(passphrase, settings.log_key, settings.next_log_key, settings.operator_signing_key)


def _listen(host: str, port: int) -> socket.socket:
    # Bound before the core opens, so that a port in use is said at once; accepting begins when uvicorn runs.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _session_secret(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        secret = path.read_bytes()
        # A death, or a full disk, at the wrong line leaves less, and everybody knows how to sign with nothing.
        if len(secret) == _SECRET_SIZE_BYTES:
            return secret
    secret = secrets.token_bytes(_SECRET_SIZE_BYTES)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
    return secret


def _is_told(record: logging.LogRecord) -> bool:
    # A websocket that is refused was answered; uvicorn takes the answer for the lack of one.
    return "without completing handshake" not in record.getMessage()


def _log_to_stderr() -> None:
    logging.getLogger("uvicorn.error").addFilter(_is_told)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
