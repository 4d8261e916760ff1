"""What a monitor keeps on disk: every signed checkpoint it ever saw, the entries it verified, the evidence it made.

`heads` only grows: one JSON line for each tree head, as it was first seen. `entries` holds the entries of the tree that was
verified last, each after its 16-bit length, as bundles have them; `state.json` says how much of it is verified, so
that what a crash left behind it is cut off at the next start. Evidence is written whole or not at all, and never over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..canonical import canonical, parse_json
from ..checkpoint import Checkpoint
from ..errors import InvalidInput, LoomarkError, Unavailable

HEADS: Final = "heads"
ENTRIES: Final = "entries"
STATE: Final = "state.json"
EVIDENCE: Final = "evidence"
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class State:
    """How far the monitor has come: the verified head, and how many entries lie in how many bytes."""

    origin: str
    size: int = 0
    root: bytes = b""
    entries: int = 0
    size_bytes: int = 0


class Archive:
    """One monitor's folder. One process at a time has it; a second is refused with :class:`Unavailable`.

    ``read_head`` gives the head of a note that the log signed, or raises :class:`InvalidInput`.
    """

    def __init__(self, folder: Path, origin: str, read_head: Callable[[bytes], Checkpoint]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EVIDENCE).mkdir(exist_ok=True)
        self.folder = folder
        self._read_head = read_head
        self._lock = _locked(folder / "lock")
        self._places: dict[int, dict[bytes, tuple[int, int]]] = {}
        self.count = 0
        try:
            self.state = _read_state(folder / STATE, origin)
            self._end = self._read_heads()
            self._cut_entries()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process have the folder; nothing happens the second time."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def roots(self, size: int) -> tuple[bytes, ...]:
        """The roots that were signed at a size, in the order in which they were first seen."""
        return tuple(self._places.get(size, ()))

    def heads(self) -> Iterator[tuple[int, bytes]]:
        """Every (size, root) that was ever seen, by size."""
        for size in sorted(self._places):
            for root in self._places[size]:
                yield size, root

    def keep(self, head: Checkpoint, note: bytes, source: str, time: str) -> bool:
        """Append a head with its note, unless it is known; durable when it returns. Whether it is new."""
        if head.root in self._places.get(head.size, {}):
            return False
        line = json.dumps({"note": note.decode(), "source": source, "time": time}).encode() + b"\n"
        with open(self.folder / HEADS, "r+b") as file:
            # What a write that failed left behind the last whole line goes.
            file.truncate(self._end)
            file.seek(self._end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._place(head, self._end, len(line))
        self._end += len(line)
        return True

    def _place(self, head: Checkpoint, start: int, length: int) -> None:
        self.count += 1
        self._places.setdefault(head.size, {})[head.root] = (start, length)

    def note(self, size: int, root: bytes) -> bytes:
        """The note of a head that was kept."""
        start, length = self._places[size][root]
        with open(self.folder / HEADS, "rb") as file:
            file.seek(start)
            note: str = json.loads(file.read(length))["note"]
        return note.encode()

    def entries(self) -> Iterator[bytes]:
        """The verified entries from index 0 on."""
        with open(self.folder / ENTRIES, "rb", buffering=_READ_BYTES) as file:
            for index in range(self.state.entries):
                data = file.read(int.from_bytes(file.read(2), "big"))
                if file.tell() > self.state.size_bytes:
                    raise _damaged(f"entry {index} is cut off")
                yield data

    def append(self, entries: Iterable[bytes]) -> int:
        """Write entries behind the verified ones and give how many bytes they take; :meth:`settle` makes them count."""
        with open(self.folder / ENTRIES, "r+b", buffering=_READ_BYTES) as file:
            file.truncate(self.state.size_bytes)
            file.seek(self.state.size_bytes)
            for data in entries:
                file.write(len(data).to_bytes(2, "big") + data)
            file.flush()
            os.fsync(file.fileno())
            return file.tell() - self.state.size_bytes

    def settle(self, state: State) -> None:
        """Say what is verified; it is so after a crash as well."""
        value = {
            "origin": state.origin,
            "size": state.size,
            "root": state.root.hex(),
            "entries": state.entries,
            "bytes": state.size_bytes,
        }
        _replace(self.folder / STATE, canonical(value))
        self.state = state

    def evidence(self) -> list[Path]:
        """The evidence files, oldest name first."""
        return sorted(self.folder.joinpath(EVIDENCE).glob("*.json"))

    def evidence_path(self, name: str) -> Path:
        """Where evidence of that name lies or would lie."""
        return self.folder / EVIDENCE / f"{name}.json"

    def accuse(self, name: str, data: bytes) -> Path:
        """Write evidence under a name that is free."""
        path = self.evidence_path(name)
        _replace(path, data)
        return path

    def _read_heads(self) -> int:
        path, at = self.folder / HEADS, 0
        path.touch()
        with path.open("rb") as file:
            for line in file:
                # A crash can cut off the last line only; that head will be shown again.
                if not line.endswith(b"\n"):
                    break
                head = self._head_of(line, at)
                self._place(head, at, len(line))
                at += len(line)
        os.truncate(path, at)
        return at

    def _head_of(self, line: bytes, at: int) -> Checkpoint:
        try:
            return self._read_head(json.loads(line)["note"].encode())
        except (ValueError, KeyError, TypeError, AttributeError, InvalidInput):
            raise _damaged(f"the line at byte {at} of {HEADS} is no head that the log signed") from None

    def _cut_entries(self) -> None:
        path = self.folder / ENTRIES
        path.touch()
        if path.stat().st_size < self.state.size_bytes:
            raise _damaged(f"expected {self.state.size_bytes} bytes of entries, got fewer")
        os.truncate(path, self.state.size_bytes)


def _read_state(path: Path, origin: str) -> State:
    if not path.exists():
        return State(origin)
    try:
        value = parse_json(path.read_bytes())
        state = State(
            value["origin"], value["size"], bytes.fromhex(value["root"]), value["entries"], value["bytes"]
        )
    except (ValueError, KeyError, TypeError, LoomarkError):
        raise _damaged(f"{STATE} is not readable") from None
    if state.origin != origin:
        raise InvalidInput(f"this folder follows {state.origin}, not {origin}", rule="wrong-log")
    return state


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise Unavailable(f"another monitor runs on {path.parent}") from None
    return descriptor


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    if os.name == "nt":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _damaged(message: str) -> InvalidInput:
    return InvalidInput(f"the monitor's own folder is damaged: {message}", rule="bad-archive")
