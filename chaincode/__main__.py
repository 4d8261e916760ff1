"""``python -m chaincode``: serve the contracts to a peer of Hyperledger Fabric."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ledger.errors import InvalidInput

from .address import require_address
from .dispatch import dispatch
from .shim import ChaincodeServer, Tls


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit status."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=asked.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    try:
        address = require_address(asked.address)
        server = ChaincodeServer(asked.id, dispatch, address=address, tls=_tls(asked))
    except (InvalidInput, OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"cannot listen on {asked.address}: {error}\n")
        return 1
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    port = server.start()
    # Whoever started this process may wait for this line.
    sys.stdout.write(f"chaincode {asked.id} listens on {asked.address.rpartition(':')[0]}:{port}\n")
    sys.stdout.flush()
    is_over.wait()
    server.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaincode", description="Serve the contracts of Loomark to a Hyperledger Fabric peer."
    )
    environment = os.environ.get
    _option(
        parser, "--address", "CHAINCODE_SERVER_ADDRESS", "host:port to listen on; port 0 takes a free one"
    )
    _option(parser, "--id", "CHAINCODE_ID", "the package id under which the peer knows this chaincode")
    parser.add_argument("--tls-key", default=environment("CHAINCODE_TLS_KEY"), help="PEM file")
    parser.add_argument("--tls-certificate", default=environment("CHAINCODE_TLS_CERT"), help="PEM file")
    parser.add_argument(
        "--client-roots",
        default=environment("CHAINCODE_CLIENT_CA_CERT"),
        help="PEM file; clients must then show a certificate",
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


def _option(parser: argparse.ArgumentParser, name: str, variable: str, text: str) -> None:
    default = os.environ.get(variable)
    parser.add_argument(name, default=default, required=not default, help=f"{text} ({variable})")


def _tls(asked: argparse.Namespace) -> Tls | None:
    if not (asked.tls_key or asked.tls_certificate or asked.client_roots):
        return None
    if not (asked.tls_key and asked.tls_certificate):
        raise ValueError("TLS needs both a key and a certificate")
    roots = Path(asked.client_roots).read_bytes() if asked.client_roots else None
    return Tls(Path(asked.tls_key).read_bytes(), Path(asked.tls_certificate).read_bytes(), roots)


if __name__ == "__main__":
    raise SystemExit(main())
