"""Who signs for a command: a key file of any format, or a program. Passphrases come by file or environment."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from api.passphrase import passphrase_of
from ledger.ed25519 import Signer, admit_public_key, key_id
from ledger.errors import InvalidInput
from ledger.keyfile import load_signer
from ledger.shape import base64_bytes
from ledger.signer import CommandSigner
from loomark.signing import FileMemory, Signing

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        envvar="LOOMARK_KEY_PASSPHRASE_FILE",
        help="File that holds the passphrase of an encrypted key; or set LOOMARK_KEY_PASSPHRASE.",
    ),
]


def passphrase(file: Path | None) -> bytes | None:
    """The passphrase of the file, else of LOOMARK_KEY_PASSPHRASE, else None."""
    return passphrase_of(None if file is not None else os.environ.get("LOOMARK_KEY_PASSPHRASE"), file)


def wanted_passphrase(file: Path | None) -> bytes:
    """As `passphrase`; raises InvalidInput (rule `no-passphrase`) where there is none."""
    found = passphrase(file)
    if found is None:
        raise InvalidInput(
            "expected a passphrase: name a file that holds it with --passphrase-file, or set LOOMARK_KEY_PASSPHRASE",
            rule="no-passphrase",
        )
    return found


def signer_of(key: Path, passphrase_file: Path | None) -> Signer:
    """Who signs for a key file. Raises as `ledger.keyfile.load_signer`."""
    return load_signer(key, passphrase(passphrase_file))


def signing_of_file(key: Path, passphrase_file: Path | None) -> Signing:
    """Sign with a key file, remembering beside it. Raises as `ledger.keyfile.load_signer`."""
    return Signing.of_key_file(key, passphrase(passphrase_file))


def signing_of_command(command: str, public: bytes) -> Signing:
    """Sign with a program, its command line split as a shell would, without a shell. Raises InvalidInput."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidInput(f"--signer: expected a command, got {error}", rule="bad-signer") from error
    if not words:
        raise InvalidInput("--signer: expected a command, got none", rule="bad-signer")
    folder = Path(typer.get_app_dir("loomark"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Signing(CommandSigner(words, public), FileMemory(folder / f"{key_id(public)}.log"))


def public_key_of(text: str) -> bytes:
    """The raw key of a line that keygen printed, or of its first part alone: base64 of 32 bytes."""
    return admit_public_key(text) if "." in text else base64_bytes(text.strip(), "public key", 32)
