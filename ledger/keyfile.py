"""Key files: where a signing key lies on its owner's disk. This module does I/O and is imported by name.

A key file is text, for its owner only (mode 0600, asked for at each read), never written over another file by
accident. Three formats (docs/operating.md, "Keys"):

* ``loomark/key/v1``: keyid and seed;
* ``loomark/encrypted-key/v1``: keyid, public key, and the seed in a libsodium secret box under a key that Argon2id
  makes of a passphrase; cost and salt stand beside it;
* ``loomark/signer/v1``: keyid, public key, and the command that signs (:mod:`ledger.signer`).
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_IMODE, S_ISREG

import nacl.exceptions
import nacl.pwhash
import nacl.secret
import nacl.utils

from . import shape
from .ed25519 import PUBLIC_KEY_SIZE_BYTES, Signer, SigningKey, key_id
from .errors import Conflict, InvalidInput, NotFound
from .folder import sync_folder
from .signer import CommandSigner

FORMAT = "loomark/key/v1"
ENCRYPTED = "loomark/encrypted-key/v1"
EXTERNAL = "loomark/signer/v1"
MAX_KEY_FILE_BYTES = 4_096
MAX_PASSPHRASE_BYTES = 1_024
MOST_MEMORY_BYTES = 1 << 30
MOST_OPERATIONS = 16
KDF_SALT_SIZE_BYTES = nacl.pwhash.argon2id.SALTBYTES


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a passphrase costs: Argon2id passes over this much memory."""

    operations: int = nacl.pwhash.argon2id.OPSLIMIT_MODERATE
    memory_bytes: int = nacl.pwhash.argon2id.MEMLIMIT_MODERATE


DEFAULT_COST = Cost()


@dataclass(frozen=True, slots=True)
class KeyText:
    """A parsed key file, nothing opened: its format, its public key where it is not in the seed, the other lines."""

    format: str
    keyid: str
    public: bytes
    fields: dict[str, str]


def write_key_file(
    path: Path,
    key: SigningKey,
    passphrase: bytes | None = None,
    *,
    cost: Cost | None = None,
    salt: bytes | None = None,
) -> None:
    """Write a key for its owner only, encrypted where there is a passphrase.

    Files of one owner may share a ``salt`` (:data:`KDF_SALT_SIZE_BYTES`), so that the passphrase is worked on once for
    all of them. Raises :class:`Conflict` (rule ``key-file-exists``) where something is.
    """
    _write_new(path, key_text(key, passphrase, cost, salt))


def replace_key_file(
    path: Path, key: SigningKey, passphrase: bytes | None, *, cost: Cost | None = None
) -> None:
    """Write a key in the place of its own file, in one step: a crash leaves the old file or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    _write_new(fresh, key_text(key, passphrase, cost))
    os.replace(fresh, path)
    sync_folder(path.parent)


def write_signer_file(path: Path, public: bytes, command: Sequence[str], timeout_s: float) -> None:
    """Write who signs in the place of a key; raises as :func:`write_key_file`."""
    lines = {
        "public": shape.base64_text(public),
        "timeout": f"{timeout_s:g}",
        "command": json.dumps([*command]),
    }
    _write_new(path, _text(EXTERNAL, key_id(public), lines))


def read_key_file(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """The key of a file that holds one.

    Raises :class:`NotFound` for no file and :class:`InvalidInput` with rule ``key-file-readable`` (others may read it; the
    message has the command that mends it), ``bad-key-file``, ``no-passphrase``, ``bad-passphrase``, or
    ``external-key`` where another program holds the key. No message ever shows its content.
    """
    signer = load_signer(path, passphrase)
    if not isinstance(signer, SigningKey):
        raise InvalidInput(
            f"expected the key itself in {path}, got the name of a program that holds it", rule="external-key"
        )
    return signer


def load_signer(path: Path, passphrase: bytes | None = None) -> Signer:
    """Who signs for a key file of any format; raises as :func:`read_key_file`."""
    return signer_of_text(_read(path), str(path), passphrase)


def read_public_key(path: Path) -> bytes:
    """The public key of a file of any format, without opening it; raises as :func:`read_key_file`."""
    return parse_key_text(_read(path), str(path)).public


def signer_of_text(text: str, source: str, passphrase: bytes | None = None) -> Signer:
    """Who signs for a key file's text, wherever it comes from; ``source`` is how messages call it."""
    parsed = parse_key_text(text, source)
    if parsed.format == FORMAT:
        return SigningKey(shape.base64_bytes(parsed.fields["seed"], "seed", 32))
    if parsed.format == ENCRYPTED:
        return _opened(parsed, source, passphrase)
    return CommandSigner(json.loads(parsed.fields["command"]), parsed.public, float(parsed.fields["timeout"]))


def kdf_salt(path: Path) -> bytes | None:
    """The salt of an encrypted key file, None for one that is not; raises as :func:`read_key_file`."""
    parsed = parse_key_text(_read(path), str(path))
    return _cost(parsed.fields["argon2id"])[1] if parsed.format == ENCRYPTED else None


def key_text(
    key: SigningKey, passphrase: bytes | None = None, cost: Cost | None = None, salt: bytes | None = None
) -> str:
    """The text of a key's file."""
    if passphrase is None:
        return _text(FORMAT, key_id(key.public_bytes), {"seed": shape.base64_text(key.seed_bytes())})
    cost = cost or DEFAULT_COST
    salt = salt or nacl.utils.random(KDF_SALT_SIZE_BYTES)
    box = nacl.secret.SecretBox(_derived(passphrase, salt, cost)).encrypt(key.seed_bytes())
    lines = {
        "public": shape.base64_text(key.public_bytes),
        "argon2id": f"{cost.operations} {cost.memory_bytes} {shape.base64_text(salt)}",
        "secretbox": shape.base64_text(bytes(box)),
    }
    return _text(ENCRYPTED, key_id(key.public_bytes), lines)


def parse_key_text(text: str, source: str) -> KeyText:
    """The lines of a key file; raises :class:`InvalidInput` (rule ``bad-key-file``) for any other spelling."""
    try:
        return _parsed(text)
    except (ValueError, KeyError, InvalidInput, RecursionError):
        # What lies there may be another secret; nothing of it is shown, and no cause that quotes it.
        raise InvalidInput(
            f"expected a {FORMAT}, {ENCRYPTED} or {EXTERNAL} file at {source}, got something else",
            rule="bad-key-file",
        ) from None


_FIELDS = {
    FORMAT: ("keyid", "seed"),
    ENCRYPTED: ("keyid", "public", "argon2id", "secretbox"),
    EXTERNAL: ("keyid", "public", "timeout", "command"),
}


def _parsed(text: str) -> KeyText:
    name, *lines, end = text.split("\n")
    pairs = [line.split(" ", 1) for line in lines]
    if end or tuple([pair[0] for pair in pairs]) != _FIELDS[name]:
        raise ValueError(name)
    fields = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    if name == FORMAT:
        public = SigningKey(shape.base64_bytes(fields["seed"], "seed", 32)).public_bytes
    else:
        public = shape.base64_bytes(fields["public"], "public", PUBLIC_KEY_SIZE_BYTES)
    _check(name, fields)
    if fields["keyid"] != key_id(public):
        raise ValueError("keyid")
    return KeyText(name, fields["keyid"], public, fields)


def _check(name: str, fields: dict[str, str]) -> None:
    if name == ENCRYPTED:
        _cost(fields["argon2id"])
        shape.base64_bytes(fields["secretbox"], "secretbox", 72)
        return
    if name == EXTERNAL and not (
        _is_command(json.loads(fields["command"])) and 0 < float(fields["timeout"]) <= 300
    ):
        raise ValueError("command")


def _is_command(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(type(word) is str and "\0" not in word for word in value)


def _cost(line: str) -> tuple[Cost, bytes]:
    operations, memory, salt = line.split(" ")
    cost = Cost(int(operations), int(memory))
    # A file that asks for more would make its reader run out of memory before it could say so.
    if not (1 <= cost.operations <= MOST_OPERATIONS and 8_192 <= cost.memory_bytes <= MOST_MEMORY_BYTES):
        raise ValueError("cost")
    return cost, shape.base64_bytes(salt, "salt", KDF_SALT_SIZE_BYTES)


def _opened(parsed: KeyText, source: str, passphrase: bytes | None) -> SigningKey:
    if passphrase is None:
        raise InvalidInput(
            f"{source} is encrypted: set LOOMARK_KEY_PASSPHRASE, or name a file that holds the passphrase with"
            " LOOMARK_KEY_PASSPHRASE_FILE",
            rule="no-passphrase",
        )
    cost, salt = _cost(parsed.fields["argon2id"])
    box = nacl.secret.SecretBox(_derived(passphrase, salt, cost))
    try:
        seed = box.decrypt(shape.base64_bytes(parsed.fields["secretbox"], "secretbox"))
    except nacl.exceptions.CryptoError:
        raise InvalidInput(
            f"expected the passphrase of {source}, got another", rule="bad-passphrase"
        ) from None
    key = SigningKey(seed)
    if key.public_bytes != parsed.public:
        raise InvalidInput(f"expected the key that {source} names, got another in it", rule="bad-key-file")
    return key


@lru_cache(maxsize=4)
def _derived(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    if not 1 <= len(passphrase) <= MAX_PASSPHRASE_BYTES:
        raise InvalidInput(
            f"expected a passphrase of 1 to {MAX_PASSPHRASE_BYTES} bytes", rule="bad-passphrase"
        )
    return nacl.pwhash.argon2id.kdf(
        nacl.secret.SecretBox.KEY_SIZE,
        passphrase,
        salt,
        opslimit=cost.operations,
        memlimit=cost.memory_bytes,
    )


def _text(name: str, keyid: str, lines: dict[str, str]) -> str:
    return "\n".join([name, f"keyid {keyid}", *[f"{word} {rest}" for word, rest in lines.items()]]) + "\n"


def _write_new(path: Path, text: str) -> None:
    # Beside its name first: a full disk, or a death at any line, must not leave a part of a key under it, which would
    # be refused at each start from then on.
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A link is made only where nothing is; a rename would go over another key.
        os.link(fresh, path)
    except FileExistsError:
        raise Conflict(f"expected a new file, {path} exists", rule="key-file-exists") from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    # A statement may soon name this key: the file's name must survive a power cut too.
    sync_folder(path.parent)


def _read(path: Path) -> str:
    return read_secret(path, "key file").decode("ascii", "replace")


def read_secret(path: Path, what: str) -> bytes:
    """The bytes of a small file that only its owner may read; ``what`` is how messages call it.

    Raises :class:`NotFound` (rule ``no-key-file``) and :class:`InvalidInput` (rule ``key-file-readable``).
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if S_ISREG(status.st_mode):
                _require_private(path, what, S_IMODE(status.st_mode))
            return file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"expected a readable {what} at {path}: {error.strerror}", rule="no-key-file"
        ) from None


def _require_private(path: Path, what: str, mode: int) -> None:
    # Windows has no such bits: there the folder's own protection is all there is.
    if os.name != "nt" and mode & 0o077:
        raise InvalidInput(
            f"expected the {what} {path} to be its owner's alone, got mode {mode:04o}; run:"
            f" chmod 600 {shlex.quote(str(path))}",
            rule="key-file-readable",
        )
