"""The passphrase that opens encrypted keys: from the environment or a file, never from a flag.

Flags stand in process lists and shell histories; a file is its owner's alone, which is asked for.
"""

from __future__ import annotations

from pathlib import Path

from ledger.errors import InvalidInput
from ledger.keyfile import read_secret


def passphrase_of(text: str | None, file: Path | str | None) -> bytes | None:
    """The passphrase of a variable's text or of a file's first line; None where neither is given.

    Raises InvalidInput with rule `two-passphrases`, `bad-passphrase` (an empty one), or those of a file that others
    may read.
    """
    if text is not None and file is not None:
        raise InvalidInput(
            "expected LOOMARK_KEY_PASSPHRASE or a file that holds the passphrase, got both",
            rule="two-passphrases",
        )
    if file is not None:
        found = read_secret(Path(file), "passphrase file").partition(b"\n")[0].rstrip(b"\r")
    elif text is not None:
        found = text.encode("utf-8", "surrogateescape")
    else:
        return None
    if not found:
        raise InvalidInput("expected a passphrase, got an empty one", rule="bad-passphrase")
    return found
