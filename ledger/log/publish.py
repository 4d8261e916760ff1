"""What happens after the head was committed: high-water mark, signature, tiles, cosigners, checkpoint file.

The order is the promise, and recovery runs the same function:

1. the high-water file says which head is about to be signed; it lies outside the database and its backup;
2. the log signs the head; Ed25519 is deterministic, and which keys sign follows from the entries, so after a crash
   the same bytes are signed again;
3. tiles, so that whoever sees the checkpoint can prove anything in it;
4. cosigners;
5. the checkpoint file, by rename; it only grows.

If the process dies before 1, nobody has seen a signature; between 1 and 5 a signature may exist, and the next
start publishes the same head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ..checkpoint import Checkpoint, checkpoint_of, parse_checkpoint, sign_checkpoint
from ..ed25519 import Signer
from ..errors import InvalidInput, Unavailable
from ..note import ED25519, SignatureLine, VerifierKey, parse_note, verify_note
from .durable import DiskFiles, Files
from .edge import Growth
from .tiles import TileStore

CHECKPOINT_FILE: Final = "checkpoint"


class Cosigner(Protocol):
    """An independent signer of checkpoints, asked when the tiles are in place and before anybody sees it.

    It may be asked for the same checkpoint again, after a crash or because cosignatures are lacking, and remembers
    by itself what it cosigned.
    """

    def cosign(self, note: bytes, tiles: TileStore) -> Sequence[SignatureLine]:
        """Its lines under the note, those that it finds there already included; none when it may be missing.

        Raises QuorumMissing when it may not be missing now, ReadOnlyLog when it knows that the head must not be signed.
        """

    def is_lacking(self, note: bytes) -> bool:
        """Whether it is worth asking again for lines that a published note does not have."""


class QuorumMissing(Unavailable):
    """Too few cosigned, and without them the head is not published. It is committed, and published later."""

    rule = "no-quorum"


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that anybody may have seen, and its note."""

    checkpoint: Checkpoint
    note: bytes


class Publisher:
    """Makes a committed head public. One caller at a time; it never touches the database.

    `folder` is served as `/log/`; `high_water` is a file outside the database and outside its backup set. `key` signs
    for the log; where it changed its key, they are several, by raw public key, and the mapping may grow.
    """

    def __init__(
        self,
        folder: Path,
        high_water: Path,
        key: Signer | Mapping[bytes, Signer],
        *,
        cosigners: Sequence[Cosigner] = (),
        files: Files | None = None,
    ) -> None:
        self._files = files or DiskFiles()
        self.tiles = TileStore(folder, self._files)
        self._checkpoint = folder / CHECKPOINT_FILE
        self._high_water = high_water
        self._signers = key if isinstance(key, Mapping) else {key.public_bytes: key}
        self._cosigners = tuple(cosigners)
        self._left: dict[Path, bytes | None] = {}

    def publish(self, head: Checkpoint, growth: Growth, keys: Sequence[VerifierKey] = ()) -> Published:
        """Sign a committed head and make it public with the tiles it grew by. Raises StorageFull,
        QuorumMissing, ReadOnlyLog, Unavailable.

        `keys` are those that sign this head, as the entries say (`ledger.log_key.signing_keys`); none: the only one.
        Calling it again for the same head, after a failure at any line, does the same again.
        """
        signers = [self._signer(key) for key in keys] or list(self._signers.values())[:1]
        self._replace(self._high_water, head.text().encode())
        note = sign_checkpoint(head, signers, self._cosigned_before(head))
        self.tiles.write(growth)
        if self._cosigners:
            lines = [line for each in self._cosigners for line in each.cosign(note, self.tiles)]
            note = sign_checkpoint(head, signers, lines)
        self._replace(self._checkpoint, note)
        self.tiles.remove_partials(growth)
        return Published(head, note)

    def mirror(self, published: Published, growth: Growth) -> None:
        """Make public here what another node of this log published: the same order, and nothing is signed.

        Raises InvalidInput for a note that no key of this log signed, StorageFull, Unavailable.
        """
        self._verified(published.note, published.checkpoint.origin)
        self._replace(self._high_water, published.checkpoint.text().encode())
        self.tiles.write(growth)
        self._replace(self._checkpoint, published.note)
        self.tiles.remove_partials(growth)

    def _signer(self, key: VerifierKey) -> Signer:
        try:
            return self._signers[key.public]
        except KeyError:
            raise Unavailable(
                f"expected the private key of {key.text()}, which signs this log, got none: put its file into the"
                " node's keys folder, or set LOOMARK_LOG_KEY"
            ) from None

    def is_lacking(self, published: Published) -> bool:
        """Whether cosigners are worth asking again for what was published."""
        return any(each.is_lacking(published.note) for each in self._cosigners)

    def _cosigned_before(self, head: Checkpoint) -> list[SignatureLine]:
        """What others signed under this very head already: a restart must not take cosignatures back."""
        data = self._files.read(self._checkpoint)
        try:
            note = None if data is None else parse_note(data)
        except InvalidInput:
            return []
        if note is None or note.text != head.text():
            return []
        own = {VerifierKey(head.origin, ED25519, public).key_id for public in self._signers}
        return [line for line in note.signatures if (line.name, line.key_id in own) != (head.origin, True)]

    def _replace(self, path: Path, data: bytes) -> None:
        if self._left.get(path) == data:
            return
        self._left[path] = None
        self._files.write(path, data)
        self._left[path] = data

    def is_as_left(self) -> bool:
        """Whether both files still have the very bytes that this publisher wrote last. Raises Unavailable."""
        files = (self._high_water, self._checkpoint)
        return all(self._left.get(path) is not None for path in files) and all(
            self._files.read(path) == self._left[path] for path in files
        )

    def published(self, origin: str) -> Checkpoint | None:
        """The checkpoint file, its log signature verified; None when there is none. Raises InvalidInput."""
        note = self.note(origin)
        return None if note is None else note.checkpoint

    def note(self, origin: str) -> Published | None:
        """As `published`, with the note."""
        note = self._files.read(self._checkpoint)
        if note is None:
            return None
        return Published(self._verified(note, origin), note)

    def _verified(self, note: bytes, origin: str) -> Checkpoint:
        keys = [VerifierKey(origin, ED25519, public) for public in self._signers]
        if not keys:
            raise Unavailable(
                "expected a private key of this log, got none: copy the keys folder of a node that has it"
            )
        return verified_checkpoint(note, *keys)

    def high_water(self) -> Checkpoint | None:
        """The last head that may have been signed; None when there is no such file. Raises InvalidInput."""
        data = self._files.read(self._high_water)
        return None if data is None else parse_checkpoint(data.decode("utf-8", "replace"))


def verified_checkpoint(note: bytes, key: VerifierKey, *others: VerifierKey) -> Checkpoint:
    """The checkpoint of a note that one of the log's keys signed under its origin. Raises InvalidInput."""
    parsed = parse_note(note)
    verify_note(parsed, [key, *others])
    checkpoint = checkpoint_of(parsed)
    if checkpoint.origin != key.name:
        raise InvalidInput(f"expected a checkpoint of {key.name}, got another origin", rule="wrong-log")
    return checkpoint
