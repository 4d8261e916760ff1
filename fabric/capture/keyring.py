"""The node's keys: the log's, the operator's, and those that sign what the node captures for its members.

They lie in the node's folder, each in a key file of any format (`ledger.keyfile`), or come from the environment. No
two uses share a key (design: evidence, "Ed25519 by one rule"). A file may be older than the statement that names
its key: a new key is on the disk before anybody hears of it, and the one that a crash left unnamed is used next.

    log.key        log.<16 hex>.key              the log's first key, and those it went over to
    operator.key   operator.<16 hex>.key
    cosigner.key                                 what the organisation cosigns with on a channel; the anchor makes it
    service/<member>.key   service/<member>.<16 hex>.key
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.ed25519 import Signer, SigningKey, key_id
from ledger.errors import InvalidInput, NotFound
from ledger.key_uses import registry_uses, require_distinct, stated_keys
from ledger.keyfile import (
    KDF_SALT_SIZE_BYTES,
    kdf_salt,
    load_signer,
    parse_key_text,
    read_public_key,
    signer_of_text,
    write_key_file,
)
from ledger.log_key import verify_announcement
from ledger.note import VerifierKey
from ledger.registry import Registry
from ledger.shape import base64_bytes
from ledger.statement import Statement

LOG: Final = "log"
OPERATOR: Final = "operator"
COSIGNER: Final = "cosigner"
_SERVICE: Final = "service"
_SHORT: Final = 16


@dataclass(frozen=True, slots=True)
class KeySources:
    """Where keys come from besides the folder: all of it secret, so none of it is shown.

    `log`, `next_log` and `operator` are key files' texts or a base64 seed; `passphrase` opens encrypted keys, and with
    one the keys that the node makes are encrypted too.
    """

    passphrase: bytes | None = field(default=None, repr=False)
    log: str | None = field(default=None, repr=False)
    next_log: str | None = field(default=None, repr=False)
    operator: str | None = field(default=None, repr=False)


class Keyring:
    """Keys in one folder that only the node's account can read. Safe to share by threads; one process makes keys.

    `log_signers` are the log's keys that are held, by raw public key; `cosigners` the public keys that sign its
    checkpoints beside it, by name: no key of anybody else may be one of them.
    """

    def __init__(self, folder: Path, sources: KeySources | None = None) -> None:
        self._folder = folder
        self._sources = sources or KeySources()
        self._loaded: dict[Path, Signer] = {}
        self._known: dict[Path, Sequence[Signer]] = {}
        self._salt: bytes | None = None
        self._from_environment = {
            LOG: _given("LOOMARK_LOG_KEY", self._sources.log, self._sources.passphrase),
            "next": _given("LOOMARK_NEXT_LOG_KEY", self._sources.next_log, self._sources.passphrase),
            OPERATOR: _given(
                "LOOMARK_OPERATOR_SIGNING_KEY", self._sources.operator, self._sources.passphrase
            ),
        }
        self.log_signers: dict[bytes, Signer] = {}
        self.cosigners: Mapping[str, bytes] = {}

    def create_folder(self) -> None:
        """Make the folder, for the owner only; what a death left of keys half written goes."""
        for folder in (self._folder, self._folder / _SERVICE):
            folder.mkdir(parents=True, exist_ok=True)
            os.chmod(folder, 0o700)
            for left in folder.glob("*.new"):
                left.unlink(missing_ok=True)

    def load_log_keys(self) -> Mapping[bytes, Signer]:
        """Every key of the log that is held, by raw public key; the mapping grows with :meth:`next_log_key`."""
        found = [self._from_environment[LOG], self._from_environment["next"], *self._all(LOG)]
        self.log_signers.update({one.public_bytes: one for one in found if one is not None})
        return self.log_signers

    def look_again(self) -> None:
        """Take in log keys that another node on the same folder of keys may have made since."""
        self._known.pop(self._folder / LOG, None)
        self.load_log_keys()

    def named(self, name: str) -> Signer:
        """The log's or the operator's first key, made where none is and nothing was ever signed.

        Raises NotFound where a log was published and its key is gone: another one would not be its key.
        """
        given = self._from_environment[name]
        path = self._folder / f"{name}.key"
        signer = given or (self._load(path) if path.exists() else None)
        if signer is None:
            if (self._folder.parent / "log" / "checkpoint").exists():
                raise NotFound(
                    f"expected the {name} key of this log at {path}, got none: put it back from its backup",
                    rule="no-key-file",
                )
            signer = self._make(path)
        if name == LOG:
            self.log_signers[signer.public_bytes] = signer
        return signer

    def next_log_key(self, registry: Registry) -> Signer:
        """The key that the log goes over to next: LOOMARK_NEXT_LOG_KEY, one that a crash left unannounced, or a new one."""
        known = {one.vkey.public for one in registry.log_keys}
        for public, signer in self.load_log_keys().items():
            if public not in known:
                return signer
        signer = self._make_beside(self._folder / LOG)
        self.log_signers[signer.public_bytes] = signer
        return signer

    def operator(self, registry: Registry) -> Signer:
        """The operator's key in force. Raises NotFound where the node has none of them."""
        for signer in self._operators():
            record = registry.records.get(key_id(signer.public_bytes))
            if record is not None and (record.use, record.state) == (OPERATOR, "active"):
                return signer
        raise NotFound(
            f"expected a key of the operator that is in force in {self._folder}, got none", rule="no-key-file"
        )

    def next_operator_key(self, registry: Registry) -> Signer:
        """The operator's next key: one that a crash left unstated, or a new one."""
        for signer in self._operators():
            if key_id(signer.public_bytes) not in registry.records:
                return signer
        return self._make_beside(self._folder / OPERATOR)

    def service(self, member: str) -> Signer:
        """The key that signs what the node captures for a member, the newest of several, made when there is none yet."""
        held = self._services(member)
        return held[-1] if held else self._make(self._folder / _SERVICE / f"{member}.key")

    def next_service(self, member: str, registry: Registry) -> Signer:
        """The next key for a member: one that was never delegated yet, or a new one."""
        for signer in self._services(member):
            if key_id(signer.public_bytes) not in registry.records:
                return signer
        if not (self._folder / _SERVICE / f"{member}.key").exists():
            return self.service(member)
        return self._make_beside(self._folder / _SERVICE / member)

    def held_service(self, member: str, public: bytes) -> Signer | None:
        """The member's service key with this public half, or None where it is not held."""
        return next((one for one in self._services(member) if one.public_bytes == public), None)

    def delegated(self, registry: Registry, member: str, time_ms: int) -> Signer | None:
        """The newest of the member's service keys in force at a time, else None: nobody delegated it, or it ended."""
        found = self._in_force(registry, member, time_ms)
        if found is None:
            # Another node on the same keys may have made one since this one looked.
            self._known.pop(self._folder / _SERVICE / member, None)
            found = self._in_force(registry, member, time_ms)
        return found

    def _in_force(self, registry: Registry, member: str, time_ms: int) -> Signer | None:
        best: tuple[int, Signer] | None = None
        for signer in self._services(member):
            record = registry.records.get(key_id(signer.public_bytes))
            if record is None or (record.use, record.member, record.state) != (_SERVICE, member, "active"):
                continue
            if record.is_valid_at(time_ms) and (best is None or record.since > best[0]):
                best = record.since, signer
        return None if best is None else best[1]

    def check(self, registry: Registry | None = None) -> None:
        """Refuse keys that cannot be read or used, or one key with two uses, the registry's included where it is given.

        Raises InvalidInput, Unavailable for an external signer of the log that does not sign.
        """
        require_distinct([*self._uses(), *(() if registry is None else registry_uses(registry))])
        if registry is not None and registry.log_keys:
            self._require_log_key(registry.log_keys[-1].vkey)
        for signer in self.log_signers.values() if registry is None else ():
            if not isinstance(signer, SigningKey):
                # A program that cannot sign now would stop the node at its first checkpoint.
                signer.sign(b"loomark/probe/v1\x00" + signer.public_bytes)

    def require_unused(self, statement: Statement) -> None:
        """Refuse a statement that admits a cosigner's key, or a key of the log that is not held. Raises Conflict, NotFound."""
        admitted = stated_keys(statement)
        uses = [
            *self._cosigning(),
            *[(f"cosigner {name}", public) for name, public in self.cosigners.items()],
        ]
        require_distinct([*uses, *[(f"what this {statement.type} admits", public) for public in admitted]])
        if statement.type == "key" and statement.body["action"] == "log":
            self._require_log_key(verify_announcement(statement.body["announcement"]).new)

    def _uses(self) -> Iterator[tuple[str, bytes]]:
        yield from ((f"cosigner {name}", public) for name, public in self.cosigners.items())
        yield from self._cosigning()
        yield from ((LOG, public) for public in self.load_log_keys())
        yield from ((OPERATOR, signer.public_bytes) for signer in self._operators())
        for path in sorted((self._folder / _SERVICE).glob("*.key")):
            yield f"custody of {path.name.partition('.')[0]}", self._load(path).public_bytes

    def _cosigning(self) -> Iterator[tuple[str, bytes]]:
        path = self._folder / f"{COSIGNER}.key"
        if path.exists():
            yield COSIGNER, read_public_key(path)

    def _require_log_key(self, vkey: VerifierKey) -> None:
        if vkey.public not in self.log_signers:
            raise NotFound(
                f"expected the private key of {vkey.text()} in {self._folder} or LOOMARK_LOG_KEY, got none",
                rule="no-key-file",
            )

    def _operators(self) -> Iterator[Signer]:
        given = self._from_environment[OPERATOR]
        if given is not None:
            yield given
        yield from self._all(OPERATOR)

    def _services(self, member: str) -> Sequence[Signer]:
        return self._held(self._folder / _SERVICE, member)

    def _all(self, name: str) -> Sequence[Signer]:
        return self._held(self._folder, name)

    def _held(self, folder: Path, name: str) -> Sequence[Signer]:
        """The keys under a name, the first one first, then in the order they were made; looked for once."""
        base = folder / name
        if base not in self._known:
            first = folder / f"{name}.key"
            others = sorted(folder.glob(f"{name}.*.key"), key=lambda path: path.stat().st_mtime_ns)
            paths = [first, *others] if first.exists() else others
            self._known[base] = [self._load(path) for path in paths]
        return self._known[base]

    def _load(self, path: Path) -> Signer:
        if path not in self._loaded:
            self._loaded[path] = load_signer(path, self._sources.passphrase)
        return self._loaded[path]

    def _make_beside(self, base: Path) -> Signer:
        key = SigningKey.generate()
        return self._make(base.with_name(f"{base.name}.{key_id(key.public_bytes)[:_SHORT]}.key"), key)

    def _make(self, path: Path, key: SigningKey | None = None) -> Signer:
        key = key or SigningKey.generate()
        write_key_file(path, key, self._sources.passphrase, salt=self._shared_salt())
        self._loaded[path] = key
        self._known.pop(path.with_name(path.name.partition(".")[0]), None)
        return key

    def _shared_salt(self) -> bytes | None:
        # One salt for the folder's files: one passphrase opens them all, and is worked on once a start, not once a key.
        if self._salt is None and self._sources.passphrase is not None:
            first = self._folder / f"{LOG}.key"
            self._salt = (kdf_salt(first) if first.exists() else None) or secrets.token_bytes(
                KDF_SALT_SIZE_BYTES
            )
        return self._salt


def _given(name: str, text: str | None, passphrase: bytes | None) -> Signer | None:
    """The key that an environment variable holds: a key file's text, or a seed in base64."""
    if not text:
        return None
    stripped = text.strip()
    if "\n" not in stripped:
        try:
            return SigningKey(base64_bytes(stripped, "seed", 32))
        except InvalidInput:
            raise InvalidInput(
                f"expected a key file's text or a 32-byte seed in base64 in {name}, got something else",
                rule="bad-key-file",
            ) from None
    return signer_of_text(stripped + "\n", name, passphrase)


def public_key_given(name: str, text: str | None) -> bytes | None:
    """The public key of what an environment variable holds, without opening it; None where it holds nothing."""
    if not text:
        return None
    if "\n" in text.strip():
        return parse_key_text(text.strip() + "\n", name).public
    signer = _given(name, text, None)
    return None if signer is None else signer.public_bytes


def require_member(registry: Registry, member: str) -> None:
    """Raise InvalidInput for somebody who was never admitted."""
    if member not in registry.members:
        raise InvalidInput(f"expected an admitted member, got {member}", rule="unknown-member")
