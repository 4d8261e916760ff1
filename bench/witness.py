"""Witnesses: what one cosignature costs over HTTP, and what three of them add to a publication.

Real `loomark witness serve` processes on loopback. The floor is one durable row in SQLite, which a witness must make before
it answers; the publication is compared with the same one without witnesses.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.log.ask import HttpAddress
from ledger.log.cosign import Witnesses
from ledger.log.durable import DiskFiles
from ledger.log.edge import Edge
from ledger.log.publish import Publisher
from ledger.log.tiles import TileStore, TileTree
from ledger.merkle import consistency_path_from, leaf_hash
from ledger.note import ED25519, VerifierKey
from ledger.policy import parse_policy
from ledger.witness.exchange import ADD_CHECKPOINT, request_bytes

Result = dict[str, Any]

ORIGIN = "bench.example/log"
ROUNDS = 200
STOP_TIMEOUT_S = 15.0


class ChildWitness:
    """`loomark witness serve` on a loopback port, 0 picks a free one. Use as a context manager; it ends by its process id."""

    def __init__(self, data: Path, *flags: str, port: int = 0) -> None:
        self._data = data
        self._flags = flags
        self.port = port
        self.url = self.vkey = ""

    def __enter__(self) -> ChildWitness:
        self._data.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "api.cli", "witness", "serve", "--data", str(self._data)]
        command += ["--port", str(self.port), *self._flags]
        with (self._data / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=dict(os.environ)
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "vkey":
                self.vkey = rest
            if word == "listening":
                self.url = rest.removeprefix("on ")
                self.port = int(self.url.rpartition(":")[2])
                return self
        self.stop()
        raise RuntimeError((self._data / "serve.log").read_text(errors="replace")[-2000:])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal; nothing happens the second time."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def measure(rounds: int = ROUNDS) -> list[Result]:
    """All figures, as `bench/results.json` holds them."""
    with tempfile.TemporaryDirectory() as folder:
        floor_s = _durable_rows(Path(folder) / "floor.db", rounds)
        tree = _Tree(Path(folder))
        with ExitStack() as stack:
            vkey = VerifierKey(ORIGIN, ED25519, tree.key.public_bytes).text()
            children = [
                stack.enter_context(
                    ChildWitness(Path(folder) / f"w{number}", "--name", f"w{number}", "--log", vkey)
                )
                for number in range(4)
            ]
            trips = tree.trips(children[3], rounds)
            plain = tree.publications([], rounds)
            witnessed = tree.publications(children[:3], rounds)
    floor = "one durable row in SQLite"
    return [
        _row("witness round trip, median", trips, floor, floor_s),
        _row("witness round trip, p95", trips, floor, floor_s, _p95),
        _row("publication with 3 witnesses, median", witnessed, "the same without", plain),
        _row("publication with 3 witnesses, p95", witnessed, "the same without", plain, _p95),
    ]


class _Tree:
    """A log that grows by 8 leaves a checkpoint, without a database."""

    def __init__(self, folder: Path) -> None:
        self.key = SigningKey(bytes(31) + b"\x07")
        self._folder = folder
        self.tiles = TileStore(folder / "log", DiskFiles())
        self._edge = Edge()
        self._publishers = 0

    def grow(self) -> Checkpoint:
        for _ in range(8):
            data = self._edge.size.to_bytes(8, "big")
            self._edge.append(leaf_hash(data), data)
        return Checkpoint(ORIGIN, self._edge.size, self._edge.frontier.root())

    def trips(self, child: ChildWitness, rounds: int) -> list[float]:
        """Seconds of each request that was answered 200, the proof included."""
        address, old, taken = HttpAddress(child.url, 10.0), 0, []
        for _ in range(rounds):
            head = self.grow()
            self.tiles.write(self._edge.take_growth())
            note = sign_checkpoint(head, self.key)
            began = time.perf_counter()
            read = TileTree(self.tiles).at(head.size)
            proof = consistency_path_from(read, old, head.size) if old else []
            answer = address.post(ADD_CHECKPOINT, request_bytes(old, proof, note))
            taken.append(time.perf_counter() - began)
            assert answer.status == 200, answer
            old = head.size
        address.close()
        return taken

    def publications(self, children: Sequence[ChildWitness], rounds: int) -> list[float]:
        """Seconds from a committed head to its checkpoint file."""
        self._publishers += 1
        names = [f"w{number}" for number in range(len(children))]
        key = VerifierKey(ORIGIN, ED25519, self.key.public_bytes)
        lines = [f"log {key.text()}"]
        lines += [f"witness {name} {one.vkey} {one.url}" for name, one in zip(names, children, strict=True)]
        lines += [f"group all3 all {' '.join(names)}", "quorum all3"] if names else ["quorum none"]
        witnesses = Witnesses(parse_policy("\n".join(lines)), ORIGIN, lambda: [key], require=bool(names))
        cosigners = [witnesses] if names else []
        high_water = self._folder / f"high-water-{self._publishers}"
        publisher = Publisher(self._folder / "log", high_water, self.key, cosigners=cosigners)
        return [self._publish(publisher) for _ in range(rounds)]

    def _publish(self, publisher: Publisher) -> float:
        head = self.grow()
        growth = self._edge.take_growth()
        began = time.perf_counter()
        publisher.publish(head, growth)
        return time.perf_counter() - began


def _durable_rows(path: Path, rounds: int) -> list[float]:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)")
    taken = []
    for number in range(rounds):
        began = time.perf_counter()
        db.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (1, number.to_bytes(400, "big")))
        taken.append(time.perf_counter() - began)
    db.close()
    return taken


def _p95(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)]


def _row(
    name: str,
    seconds: Sequence[float],
    against: str,
    floor: Sequence[float],
    figure: Callable[[Sequence[float]], float] = statistics.median,
) -> Result:
    return {
        "name": name,
        "value": figure(seconds) * 1e3,
        "unit": "ms",
        "against": against,
        "ratio": figure(seconds) / figure(floor),
    }
