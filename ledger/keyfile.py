"""Key files: where a signing key lies on its owner's disk. This module does I/O and is imported by name.

A key file is text: a line that names the format, the keyid, and the seed in base64. It is written for its
owner only (mode 0600) and never over an existing file.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import shape
from .ed25519 import SigningKey, key_id
from .errors import Conflict, InvalidInput, NotFound

FORMAT = "loomark/key/v1"
MAX_KEY_FILE_BYTES = 4_096


def write_key_file(path: Path, key: SigningKey) -> None:
    """Write a key for its owner only; raises :class:`Conflict` (rule ``key-file-exists``) where something is."""
    text = f"{FORMAT}\nkeyid {key_id(key.public_bytes)}\nseed {shape.base64_text(key.seed_bytes())}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"expected a new file, {path} exists", rule="key-file-exists") from None
    # A reader that came between creation and the last byte would find no valid key, never another one.
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path) -> SigningKey:
    """The key of a file.

    Raises :class:`NotFound` for no file and :class:`InvalidInput` (rule ``bad-key-file``) for anything but a key file;
    the message never shows its content.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise NotFound(
            f"expected a readable key file at {path}: {error.strerror}", rule="no-key-file"
        ) from None
    try:
        name, keyid, seed, end = data.decode("ascii").split("\n")
        key = SigningKey.from_bytes(shape.base64_bytes(seed.removeprefix("seed "), "seed", 32))
    except (ValueError, InvalidInput):
        raise InvalidInput(
            f"expected a {FORMAT} file at {path}, got something else", rule="bad-key-file"
        ) from None
    if (name, keyid, end) != (FORMAT, f"keyid {key_id(key.public_bytes)}", "") or not seed.startswith(
        "seed "
    ):
        raise InvalidInput(f"expected a {FORMAT} file at {path}, got something else", rule="bad-key-file")
    return key
