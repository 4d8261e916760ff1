"""`loomark witness`: cosign checkpoints of logs, your own or others'."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ledger.witness.settings import log_of

from .key_source import PassphraseFile, passphrase
from .serve import cannot_listen

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def witness() -> None:
    """Remember the largest tree of each log and cosign only what extends it (C2SP tlog-witness)."""


@app.command("serve")
def serve(
    data: Annotated[Path, typer.Option(help="Folder of the witness; made when it is not there.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8090,
    name: Annotated[
        str | None, typer.Option(help="Name in the witness's vkey, fixed at first start; a schema-less URL.")
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(help="vkey of a log to cosign for; again for more. Kept in witness.toml."),
    ] = None,
    log_url: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the tiles of the log are, one for each --log in its order; --replay needs it."
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(help="File with an API key that may read the entries of the logs given here."),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay", help="Fetch and check every entry as well, and sign under a key that says so."
        ),
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Serve a tlog-witness. Prints its vkey, which goes into policies, and the address it listens on."""
    from api.witness.serve import WitnessOptions
    from api.witness.serve import serve as run

    vkeys, urls = log or [], log_url or []
    if len(urls) not in (0, len(vkeys)):
        raise typer.BadParameter("expected one --log-url for each --log")
    addresses: list[str | None] = [*urls] if urls else [None for _ in vkeys]
    logs = [
        replace(
            log_of([vkey], url=url),
            api_key_file=None if api_key_file is None else str(api_key_file.absolute()),
        )
        for vkey, url in zip(vkeys, addresses, strict=True)
    ]
    try:
        run(WitnessOptions(data, host, port, name, logs, replay, passphrase(passphrase_file)), _say)
    except OSError as error:
        raise cannot_listen(error, host, port) from error


def _say(line: str) -> None:
    # Scripts wait for these lines, so they are neither wrapped nor buffered.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
