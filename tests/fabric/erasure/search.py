"""Looks for values in everything a folder holds, in every form in which a file might hold them."""

from __future__ import annotations

import re
import sqlite3
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from pyoxigraph import Store

_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def found(folder: Path, values: Iterable[str]) -> dict[str, set[str]]:
    """For each value that some file below the folder holds, the places that do."""
    needles = [(value, form) for value in values for form in forms(value)]
    places: dict[str, set[str]] = {}
    for place, data in contents(folder):
        for value, form in needles:
            if form in data:
                places.setdefault(value, set()).add(place)
    return places


def forms(value: str) -> set[bytes]:
    """A value in UTF-8 and UTF-16, in hex, and in base64 at each of the three alignments."""
    plain = [value.encode(encoding) for encoding in _ENCODINGS]
    every = {*plain, plain[0].hex().encode(), plain[0].hex().upper().encode()}
    for data in plain[:2]:
        for shift in range(3):
            text = b64encode(b"\0" * shift + data)
            # The first and last characters depend on what stands beside the value.
            every.add(text[(4 if shift else 0) : len(text) - 4])
    return every


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, what is compressed in it, every value in a database, and every quad of a graph."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder))
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            # A node that runs takes files away.
            continue
        yield name, data
        yield from ((f"{name} (compressed)", inner) for inner in unpacked(data))
        if path.suffix == ".db":
            yield from ((f"{name} {table}", value) for table, value in rows(path))
    for path in sorted(folder.rglob("CURRENT")):
        # RocksDB has a file of that name, too, in the folder of each store.
        if path.with_name("IDENTITY").exists():
            try:
                store = Store.read_only(str(path.parent))
                quads = "\n".join(map(str, store)).encode()
            except (OSError, RuntimeError):
                # One that a running node is about to make, or to remove; its files were searched all the same.
                continue
            yield f"{path.parent.relative_to(folder)} (quads)", quads


def unpacked(data: bytes) -> Iterator[bytes]:
    """Whatever unpacks from any place in some bytes that may begin a zlib stream, as far as it does."""
    for match in _ZLIB.finditer(data):
        reader = zlib.decompressobj()
        try:
            inner = reader.decompress(data[match.start() :], 4_000_000)
        except zlib.error:
            continue
        if len(inner) > 16:
            yield inner


def rows(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every value of every table of a SQLite database, blobs unpacked."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            every: list[bytes] = []
            for row in database.execute(f'SELECT * FROM "{table}"'):
                data = [value if isinstance(value, bytes) else str(value).encode() for value in row]
                every += data
                every += [inner for one in data if one[:1] == b"\x78" for inner in unpacked(one)]
            yield f"table {table}", b"\n".join(every)
