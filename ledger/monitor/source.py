"""Where a monitor reads from, and what it says about answers that prove nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ..canonical import JSON
from ..errors import InvalidInput, LoomarkError
from ..merkle import HASH_SIZE_BYTES, HashReader
from ..tile import TILE_WIDTH, Tile, hash_reader, partial_width, split_entries, split_hashes

MAX_CHECKPOINT_BYTES: Final = 262_144
MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + 65_535)
_MAX_TILES: Final = 1_024


class LogSource(Protocol):
    """One log as it answers, not trusted in anything.

    Both methods raise :class:`ledger.errors.LoomarkError` for no answer, a refusal, or an answer beyond the limit of its
    kind; nothing is asked twice, and nothing larger than the limit is ever held.
    """

    def checkpoint(self) -> bytes:
        """The newest checkpoint note, at most :data:`MAX_CHECKPOINT_BYTES`."""

    def tile(self, tile: Tile) -> bytes:
        """A hash tile or an entry bundle, at most :data:`MAX_BUNDLE_BYTES`."""


class WitnessSource(Protocol):
    """One witness's monitoring path (C2SP tlog-witness)."""

    def checkpoint(self, origin: str) -> bytes:
        """The newest checkpoint that the witness cosigned for a log, with the errors of :class:`LogSource`."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that an honest log would not let happen for long, and why it proves nothing by itself."""

    rule: str
    source: str
    message: str

    def as_json(self) -> dict[str, JSON]:
        """The suspicion as a JSON object."""
        return {"rule": self.rule, "source": self.source, "message": self.message}


def suspicion_of(source: str, error: LoomarkError) -> Suspicion:
    """What an answer that could not be used gives rise to: nobody signed a refusal, so it is no evidence."""
    rule = error.rule if isinstance(error, InvalidInput) else "no-answer"
    return Suspicion(rule, source, str(error))


class ShownTree:
    """The tree of ``size`` leaves as a source shows it through hash tiles; a tile is asked for once."""

    def __init__(self, source: LogSource, size: int) -> None:
        self.size = size
        self._source = source
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    @property
    def reader(self) -> HashReader:
        """Heads of complete subtrees; raises :class:`LoomarkError` where the source shows none."""
        return hash_reader(self._tile)

    def _tile(self, level: int, index: int) -> Sequence[bytes]:
        found = self._tiles.get((level, index))
        if found is None:
            if len(self._tiles) >= _MAX_TILES:
                self._tiles.clear()
            found = self._fetch(level, index)
            self._tiles[level, index] = found
        return found

    def _fetch(self, level: int, index: int) -> list[bytes]:
        count = self.size >> (8 * level)
        width = TILE_WIDTH if (index + 1) * TILE_WIDTH <= count else partial_width(self.size, level)
        data = self._source.tile(Tile(level, index, width))
        if len(data) != width * HASH_SIZE_BYTES:
            raise InvalidInput(f"expected a tile of {width} hashes, got {len(data)} bytes", rule="bad-tile")
        return split_hashes(data)


def shown_entries(source: LogSource, index: int, width: int) -> list[bytes]:
    """The ``width`` entries of the bundle at ``index``; raises :class:`LoomarkError`."""
    entries = split_entries(source.tile(Tile("entries", index, width)))
    if len(entries) != width:
        raise InvalidInput(f"expected a bundle of {width} entries, got {len(entries)}", rule="bad-tile")
    return entries
