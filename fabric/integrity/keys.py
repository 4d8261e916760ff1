"""The node's keys against what the log says of them: whose they are, that they are theirs alone to read."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.ed25519 import key_id
from ledger.errors import LoomarkError
from ledger.keyfile import read_public_key
from ledger.note import VerifierKey
from ledger.registry import Registry

from .run import Run, reason

FOLDER: Final = "keys"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def check_keys(
    run: Run, folder: Path, log_keys: tuple[VerifierKey, ...], elsewhere: frozenset[str] = frozenset()
) -> None:
    """Each key file is whole, its owner's alone, and holds the key that the registry knows for its use.

    Beside the first key of a use lie those it went over to, and one that may come next: a crash before its statement
    leaves it unnamed. Keys `elsewhere` (log, operator) come from the environment and have no file.
    """
    keys = folder / FOLDER
    if not keys.is_dir():
        run.faults.note("key", FOLDER, "expected the folder of the node's keys, got none")
        return
    publics = {one.public for one in log_keys}
    _first(run, keys, "log", lambda public: public in publics, "the key that signs the log", elsewhere)
    operators = {one.keyid for one in run.registry.records.values() if one.use == "operator"}
    of_operator = "an operator's key of the registry"
    _first(run, keys, "operator", lambda public: key_id(public) in operators, of_operator, elsewhere)
    held: set[str] = set()
    for path in sorted((keys / "service").glob("*")):
        _service(run, path, held)
    for member in sorted(_served(run.registry) - held):
        run.faults.note(
            "key",
            f"{FOLDER}/service/{member}.key",
            "expected the service key that the member delegated, got none",
            member=member,
        )
    _modes(run, keys)


def _first(
    run: Run, keys: Path, name: str, is_right: Callable[[bytes], bool], what: str, elsewhere: frozenset[str]
) -> None:
    first = keys / f"{name}.key"
    if first.exists() or name not in elsewhere:
        _named(run, first, is_right, what)
    for path in sorted(keys.glob(f"{name}.*.key")):
        _named(run, path, lambda _public: True, "a key")


def _service(run: Run, path: Path, held: set[str]) -> None:
    member = path.name.partition(".")[0]
    known = {
        one.keyid for one in run.registry.records.values() if one.use == "service" and one.member == member
    }
    held.add(member)
    if path.suffix != ".key":
        run.faults.note("key", _place(path), "expected the key of a member, got another file")
    elif known and path.name == f"{member}.key":
        _named(run, path, lambda public: key_id(public) in known, "the service key that was delegated")
    else:
        # Its delegation may never have come, nor its member's admission, where the node was killed or could not
        # write between the two: such a key signs nothing.
        _named(run, path, lambda _public: True, "a key")


def _served(registry: Registry) -> set[str]:
    """Members with a service key of this node in force."""
    return {
        one.member
        for one in registry.records.values()
        if one.use == "service" and one.state == "active" and one.party == "operator"
    }


def _named(run: Run, path: Path, is_right: Callable[[bytes], bool], what: str) -> None:
    try:
        public = read_public_key(path)
    except LoomarkError as error:
        run.faults.note("key", _place(path), f"expected {what}, got none: {_without_path(error, path)}")
        return
    if not is_right(public):
        run.faults.note("key", _place(path), f"expected {what}, got another", got=f"keyid {key_id(public)}")


def _modes(run: Run, keys: Path) -> None:
    for path in [keys, *sorted(keys.rglob("*"))]:
        if path.stat().st_mode & _OTHERS:
            run.faults.note(
                "key-mode", _place(path), "expected it readable by its owner only, got it open to others"
            )


def _place(path: Path) -> str:
    parts = path.parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index(FOLDER) :])


def _without_path(error: LoomarkError, path: Path) -> str:
    return reason(error).replace(str(path), path.name)
