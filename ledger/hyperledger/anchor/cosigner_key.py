"""The organisation's cosigner key: `keys/cosigner.key` in the node's folder, and no key of any other use.

The node's keyring refuses to start where it is another key as well, and the chaincode refuses to register it then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...ed25519 import Signer, SigningKey
from ...errors import Conflict
from ...keyfile import load_signer, write_key_file
from ...note import COSIGNATURE, VerifierKey

COSIGNER_FILE: Final = "cosigner.key"


def cosigner_key(keys: Path, passphrase: bytes | None = None) -> Signer:
    """The key in the folder of the node's keys, made where there is none. Raises what :mod:`ledger.keyfile` raises."""
    path = keys / COSIGNER_FILE
    if not path.exists():
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            write_key_file(path, SigningKey.generate(), passphrase)
        except Conflict:
            # Another process made it in between; that one is the key.
            return load_signer(path, passphrase)
    return load_signer(path, passphrase)


def cosigner_vkey(name: str, key: Signer) -> str:
    """The vkey that is registered; `name` is the organisation's MSP id, which verdicts then name."""
    return VerifierKey(name, COSIGNATURE, key.public_bytes).text()
