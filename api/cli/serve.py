"""`loomark serve`: a node on one data folder."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import Unavailable

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    data: Annotated[Path, typer.Option(help="Folder of the node; made when it is not there.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one. [8080]")] = None,
    origin: Annotated[str | None, typer.Option(help="Name of the log, fixed at first start.")] = None,
    hyperledger: Annotated[
        Path | None, typer.Option(help="Profile of a Hyperledger Fabric channel to anchor the log on.")
    ] = None,
) -> None:
    """Start a node from nothing, or from whatever its last run left. LOOMARK_OPERATOR_KEY chooses the operator's key."""
    from api.serve import serve as run
    from api.settings import load_settings

    flags: dict[str, object] = {"host": host, "port": port, "origin": origin}
    flags["hyperledger"] = None if hyperledger is None else str(hyperledger.absolute())
    settings = load_settings(data, flags, os.environ)
    try:
        run(settings, _say)
    except OSError as error:
        raise cannot_listen(error, settings.host, settings.port) from error


def cannot_listen(error: OSError, host: str, port: int) -> Exception:
    """What to do about an address that cannot be had; any other error as it is."""
    if error.errno == errno.EADDRINUSE:
        return Unavailable(f"port {port} is in use; choose another with --port (make run PORT=…)")
    if error.errno == errno.EACCES and error.filename is None:
        return Unavailable(f"port {port} is not for you to listen on; choose one above 1023 with --port")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return Unavailable(f"{host} is no address of this machine; choose another with --host")
    return error


def _say(line: str) -> None:
    # Scripts wait for these lines, so they are neither wrapped nor buffered.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
