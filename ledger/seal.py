"""Seals: the entries that the log writes about itself (docs/spec/seal-and-registry.md)."""

from __future__ import annotations

from dataclasses import dataclass

from . import shape
from .canonical import JSON, canonical, parse_json
from .errors import InvalidInput, TooLarge

SEAL = "loomark/seal/v1"
MAX_SEAL_BYTES = 4_096
_MEMBERS = frozenset({"seal", "log", "from", "time", "before", "after", "roots"})


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal. ``start`` is the index after the previous seal; ``time`` the log's clock as UTC text.

    ``before`` is (size, root) of the registry in force for entries from ``start`` up to the seal, ``after`` from
    the seal on.
    """

    log: str
    start: int
    time: str
    before: tuple[int, bytes]
    after: tuple[int, bytes]

    @property
    def time_ms(self) -> int:
        """The seal's time in milliseconds since 1970."""
        return shape.time_ms(self.time, "time")


def seal_bytes(seal: Seal) -> bytes:
    """The canonical bytes of a seal: the log entry."""
    return canonical(seal_json(seal))


def seal_json(seal: Seal) -> dict[str, JSON]:
    """The seal as a JSON object."""
    return {
        "seal": SEAL,
        "log": seal.log,
        "from": seal.start,
        "time": seal.time,
        "before": [seal.before[0], seal.before[1].hex()],
        "after": [seal.after[0], seal.after[1].hex()],
        "roots": {},
    }


def parse_seal(data: bytes) -> Seal:
    """The seal of these bytes; raises :class:`InvalidInput` for any other spelling than the canonical one."""
    if len(data) > MAX_SEAL_BYTES:
        raise TooLarge(f"expected a seal of at most {MAX_SEAL_BYTES} bytes", rule="entry-too-large")
    seal = seal_of(parse_json(data))
    if seal_bytes(seal) != data:
        raise InvalidInput("expected the seal in canonical JSON, got another spelling", rule="not-canonical")
    return seal


def seal_of(value: JSON) -> Seal:
    """The seal of a parsed JSON value, as a bundle carries it."""
    obj = shape.members(value, "seal", _MEMBERS)
    if obj["seal"] != SEAL:
        raise InvalidInput(f"expected {SEAL}, got another format", rule="bad-version")
    # Authenticated indices are room for later versions; a value here would be bound but not understood.
    if obj["roots"] != {} or type(obj["roots"]) is not dict:
        raise InvalidInput("expected no roots of indices in version 1", rule="bad-shape")
    shape.time_ms(obj["time"], "time")
    return Seal(
        shape.text(obj["log"], "log", 512),
        shape.count(obj["from"], "from"),
        obj["time"],
        shape.tree_head(obj["before"], "before"),
        shape.tree_head(obj["after"], "after"),
    )
