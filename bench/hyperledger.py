"""What a Hyperledger Fabric channel costs: one transaction a checkpoint against one transaction an event.

    python -m bench.hyperledger

A real network on loopback (two organisations, one orderer, BatchTimeout 100 ms), all of it and the client on this
machine's cores. The naive way stores a digest an event under a key of its own, 64 transactions in flight. The other
submits checkpoints, each of which covers 10,000 events and is checked by the chaincode: of one log, one in flight, as a node
does; and of 32 logs at once, which is what the channel takes. Without the binaries there is nothing to measure, and it says so.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from compose.network import BinariesMissing, Network, Topology
from ledger import merkle
from ledger.canonical import canonical
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.hyperledger.channel import Channel
from ledger.hyperledger.connection import load_profile
from ledger.hyperledger.gateway import Gateway, open_channel, open_gateway
from ledger.note import COSIGNATURE, ED25519, VerifierKey

EVENTS: Final = 10_000
"""Events that one checkpoint covers: ten captures of a thousand, and a seal."""

LEAVES: Final = 11
LOGS: Final = 32
IN_FLIGHT: Final = 64
NAIVE: Final = 1_500
EACH: Final = 20
SINGLES: Final = 60

Result = dict[str, Any]


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of CPU in all processes of the network and in this one, for a number of transactions."""

    wall_s: float
    cpu_s: float
    count: int

    @property
    def rate(self) -> float:
        """Transactions a second."""
        return self.count / self.wall_s


def measure() -> list[Result]:
    """All figures; none without the binaries of Hyperledger Fabric."""
    with tempfile.TemporaryDirectory() as name:
        network = Network(Path(name) / "network")
        try:
            network.up(Topology(batch_timeout="100ms"))
        except BinariesMissing as error:
            sys.stderr.write(f"not measured: {error}\n")
            return []
        try:
            return _measured(network)
        finally:
            network.down(delete=True)


def _measured(network: Network) -> list[Result]:
    logs = [_Log(f"bench.example/{number}") for number in range(LOGS)]
    _register(network, logs)
    profile = load_profile(network.profile(1))
    with closing(open_gateway(profile)) as gateway, closing(open_channel(profile)) as channel:
        naive = _spent(network, NAIVE, lambda: _naive(gateway))
        single_ms = [_timed_ms(lambda: logs[0].anchor(channel)) for _ in range(SINGLES)]
        many = _spent(network, LOGS * EACH, lambda: _all_anchor(logs, channel))
    return _results(naive, single_ms, many)


class _Log:
    """A log that grows by as many entries as ten captures and their seal, and its key."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.key = SigningKey(sha256(origin.encode()).digest())
        self.vkey = VerifierKey(origin, ED25519, self.key.public_bytes).text()
        self._hashes: list[bytes] = []

    def anchor(self, channel: Channel) -> None:
        """Grow, and submit the new checkpoint until the channel's peer says that it is valid."""
        old = len(self._hashes)
        self._hashes += [merkle.leaf_hash(b"%s %d" % (self.origin.encode(), old + n)) for n in range(LEAVES)]
        head = Checkpoint(self.origin, len(self._hashes), merkle.root(self._hashes))
        proof = merkle.consistency_path(self._hashes, old) if old else []
        channel.submit(sign_checkpoint(head, self.key), proof)


def _register(network: Network, logs: Iterable[_Log]) -> None:
    cosigner = VerifierKey("Org1MSP", COSIGNATURE, SigningKey(sha256(b"cosigner").digest()).public_bytes)
    other = VerifierKey("Org2MSP", COSIGNATURE, SigningKey(sha256(b"other").digest()).public_bytes)
    with closing(open_channel(load_profile(network.profile(1, admin=True)))) as channel:
        channel.register({log.origin: (log.vkey,) for log in logs}, cosigner.text())
    with closing(open_channel(load_profile(network.profile(2, admin=True)))) as channel:
        channel.register({}, other.text())


def _naive(gateway: Gateway) -> None:
    """One transaction an event: its digest under a key of its own."""

    def one(number: int) -> None:
        digest = sha256(str(number).encode()).hexdigest()
        proposal = canonical({"counterpart": "Org2MSP", "digest": digest, "until": None})
        gateway.transact("agreements:propose", [f"event-{number}".encode(), proposal])

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        list(pool.map(one, range(NAIVE)))


def _all_anchor(logs: Iterable[_Log], channel: Channel) -> None:
    def anchor(log: _Log) -> None:
        for _ in range(EACH):
            log.anchor(channel)

    with ThreadPoolExecutor(LOGS) as pool:
        list(pool.map(anchor, logs))


def _spent(network: Network, count: int, work: Callable[[], None]) -> Spent:
    pids = [os.getpid(), *(each.pid for each in network.processes.recorded().values())]
    used, began = sum(map(_cpu_s, pids)), time.perf_counter()
    work()
    return Spent(time.perf_counter() - began, sum(map(_cpu_s, pids)) - used, count)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _timed_ms(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1_000


def _results(naive: Spent, single_ms: list[float], many: Spent) -> list[Result]:
    one_log = 1_000 / statistics.fmean(single_ms) * EVENTS
    each, against = f"{EVENTS} events a checkpoint", "one transaction an event"
    naive_ms, many_ms = naive.cpu_s / naive.count * 1e3, many.cpu_s / many.count * 1e3
    p95_ms = statistics.quantiles(single_ms, n=20)[18]
    return [
        _row(f"channel: one transaction an event, {IN_FLIGHT} in flight", naive.rate, "events/s", "", None),
        _row("channel: CPU of a transaction an event", naive_ms, "ms", "", None),
        _row(f"channel: checkpoints of one log, {each}", one_log, "events/s", against, one_log / naive.rate),
        _row(
            f"channel: checkpoints of {LOGS} logs, {each}",
            many.rate * EVENTS,
            "events/s",
            against,
            many.rate * EVENTS / naive.rate,
        ),
        _row("channel: checkpoints accepted", many.rate, "1/s", against, many.rate / naive.rate),
        _row("channel: CPU of an anchored checkpoint", many_ms, "ms", against, many_ms / naive_ms),
        _row("channel: CPU of an event", many_ms / EVENTS * 1e3, "us", against, many_ms / EVENTS / naive_ms),
        _row(
            "channel: one checkpoint until VALID, BatchTimeout 100 ms, p50",
            statistics.median(single_ms),
            "ms",
            "",
            None,
        ),
        _row("channel: one checkpoint until VALID, BatchTimeout 100 ms, p95", p95_ms, "ms", "", None),
    ]


def _row(name: str, value: float, unit: str, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def main() -> None:
    """Measure and print one JSON object a line."""
    for row in measure():
        print(json.dumps(row))


if __name__ == "__main__":
    main()
