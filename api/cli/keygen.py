"""`loomark keygen`: a signing key in a file, and the one public line that admission takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.ed25519 import SigningKey, possession_line
from ledger.keyfile import write_key_file

from .key_source import PassphraseFile, wanted_passphrase
from .output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def keygen(
    output: Annotated[Path, typer.Option("-o", "--output", help="Key file to write; it must not exist.")],
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt the key with a passphrase.")] = False,
    passphrase_file: PassphraseFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a signing key, readable by you alone, and print its public line: the key and a proof that you hold it."""
    key = SigningKey.generate()
    write_key_file(output, key, wanted_passphrase(passphrase_file) if encrypt else None)
    line = possession_line(key)
    if as_json:
        print_json({"publicKey": line, "keyFile": str(output)})
    else:
        out.print(line, markup=False)
