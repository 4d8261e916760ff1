"""The node's keys against what the log says of them: whose they are, that they are theirs alone to read.

No key is opened: a key file tells its public key, whatever it is sealed with or whoever signs for it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from ledger.ed25519 import key_id
from ledger.errors import LoomarkError
from ledger.keyfile import read_public_key
from ledger.note import VerifierKey

from .run import Run, reason

FOLDER: Final = "keys"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LATER: Final = re.compile(r"(.+)\.([0-9a-f]{16})\Z")
_SIGNING: Final = "operator"


def check_keys(
    run: Run, folder: Path, log_keys: Collection[VerifierKey], elsewhere: Collection[str] = ()
) -> None:
    """Each key file is whole, its owner's alone, and holds the key that the registry knows for its use.

    Every key in force is held, but those of the uses (`log`, `operator`) that come from `elsewhere`. A key that was
    made and never stated signs nothing, and is no fault: the node may have been killed before it could say so.
    """
    keys = folder / FOLDER
    if not keys.is_dir():
        run.faults.note("key", FOLDER, "expected the folder of the node's keys, got none")
        return
    known = {"log": {key_id(one.public) for one in log_keys}}
    known[_SIGNING] = {one.keyid for one in run.registry.records.values() if one.use == _SIGNING}
    held = {name: set(_held(run, keys, name, known[name])) for name in known}
    _require(run, "log", [key_id(one.public) for one in log_keys][-1:], held["log"], elsewhere)
    in_force = [
        one.keyid for one in run.registry.records.values() if one.use == _SIGNING and one.state == "active"
    ]
    _require(run, _SIGNING, in_force[-1:], held[_SIGNING], elsewhere)
    _services(run, keys / "service")
    _modes(run, keys)


def _services(run: Run, folder: Path) -> None:
    records = [one for one in run.registry.records.values() if one.use == "service"]
    members = {one.member for one in records}
    for member in sorted(members | {path.name.partition(".")[0] for path in folder.glob("*.key")}):
        known = {one.keyid for one in records if one.member == member}
        held = set(_held(run, folder, member, known))
        in_force = [one.keyid for one in records if one.member == member and one.state == "active"]
        _require(run, f"service/{member}", in_force, held, (), member)
    for path in sorted(folder.glob("*")):
        if path.suffix not in (".key", ".new"):
            run.faults.note("key", _place(path), "expected key files only, got another file")


def _held(run: Run, folder: Path, name: str, known: Collection[str]) -> Iterator[str]:
    """The keyids of the files under a name; notes those that are damaged or hold what nobody stated."""
    for path in [folder / f"{name}.key", *sorted(folder.glob(f"{name}.*.key"))]:
        if not path.exists():
            continue
        try:
            keyid = key_id(read_public_key(path))
        except LoomarkError as error:
            if getattr(error, "rule", "") != "key-file-readable":
                run.faults.note(
                    "key", _place(path), f"expected a key file: {reason(error).replace(str(path), path.name)}"
                )
            continue
        later = _LATER.match(path.stem)
        if later is not None and not keyid.startswith(later[2]):
            run.faults.note(
                "key", _place(path), "expected the key of its name, got another", got=f"keyid {keyid}"
            )
        elif later is None and known and keyid not in known:
            run.faults.note(
                "key", _place(path), "expected a key that the log knows, got another", got=f"keyid {keyid}"
            )
        yield keyid


def _require(
    run: Run,
    name: str,
    wanted: Collection[str],
    held: Collection[str],
    elsewhere: Collection[str],
    member: str | None = None,
) -> None:
    for keyid in wanted:
        if keyid not in held and name not in elsewhere:
            run.faults.note(
                "key",
                f"{FOLDER}/{name}.key",
                "expected the key in force among the key files, got none",
                expected=f"keyid {keyid}",
                member=member,
            )


def _modes(run: Run, keys: Path) -> None:
    for path in [keys, *sorted(keys.rglob("*"))]:
        if path.stat().st_mode & _OTHERS:
            run.faults.note(
                "key-mode", _place(path), "expected it readable by its owner only, got it open to others"
            )


def _place(path: Path) -> str:
    parts = path.parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index(FOLDER) :])
