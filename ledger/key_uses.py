"""One key, one use: checkpoint, cosigner, operator, custody and member keys are never the same key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .ed25519 import admit_public_key, key_id
from .errors import Conflict
from .log_key import verify_announcement
from .registry import Registry
from .statement import Statement


def require_distinct(uses: Iterable[tuple[str, bytes]]) -> None:
    """Check (use, raw public key) pairs; the same pair may come twice.

    Raises :class:`Conflict` (rule ``key-in-use``) that names the two uses and the keyid of a key that has both.
    """
    known: dict[bytes, str] = {}
    for use, public in uses:
        other = known.setdefault(public, use)
        if other != use:
            raise Conflict(
                f"expected different keys for {other} and {use}, got one for both: {key_id(public)}",
                rule="key-in-use",
            )


def registry_uses(registry: Registry) -> Iterator[tuple[str, bytes]]:
    """What each key that the registry knows is for."""
    yield from (("log", one.vkey.public) for one in registry.log_keys)
    for record in registry.records.values():
        named = {"operator": "operator", "service": f"custody of {record.member}"}
        yield named.get(record.use, f"member {record.member}"), record.key


def stated_keys(statement: Statement) -> tuple[bytes, ...]:
    """The raw keys that a registry statement would admit; raises :class:`InvalidInput` for one that is none."""
    body = statement.body
    lines = [body[name] for name in ("publicKey", "service") if name in body]
    lines += [body["delegation"]["service"]] if "delegation" in body else []
    keys = [admit_public_key(line) for line in (*lines, *body.get("operatorKeys", ()))]
    if "announcement" in body:
        keys.append(verify_announcement(body["announcement"]).new.public)
    return tuple(keys)
