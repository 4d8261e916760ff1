"""The projector against pyoxigraph's bulk load of the same quads: one core, from rows in the database to quads.

    python -m bench.graph --events 20000

Reference events are captured on a real node first; that is not measured. `project` reads, maps, loads and pairs
as the projector's process does, in one thread; the peer loads the finished N-Quads of the same graph in the same
batches, and as one file. `moved` is the cost of an older record whose class changed.

    python -m bench.graph --follow --events 100000

runs the projector's process beside a node that captures: how far it lags behind, and the memory that it takes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyoxigraph import RdfFormat, Store

from fabric.capture.node import DATABASE, Node, NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from fabric.graph import Source, open_projection
from fabric.graph.projector import Projector
from fabric.scenario import members_json, reference_documents, reference_world
from fabric.store.credentials import OPERATOR, Principal

PER_DOCUMENT = 1000
SEED = 7
ASKED_RATE = 1500
ASKED_SHARE = 0.4
_OPERATOR = Principal(0, "operator", OPERATOR)

Result = dict[str, Any]


def filled(folder: Path, events: int) -> Node:
    """A node that holds reference events, captured by one of their members."""
    node = open_node(NodeSettings(folder, origin="loomark.example/bench"), preparer=InlinePreparer())
    packer = _admitted(node)
    for document in reference_documents(events, SEED, PER_DOCUMENT):
        node.capture.capture(packer, document, "application/ld+json", settled=True)
    return node


def _admitted(node: Node) -> str:
    """Admit the members of the reference events; gives the one that captures them."""
    members = members_json(reference_world())["members"]
    for member in members:
        value = {
            "type": "member",
            "subject": member["id"],
            "name": member["name"],
            "parties": member["parties"],
        }
        node.capture.state(_OPERATOR, value)
    return str(next(member["id"] for member in members if member["role"] == "packer"))


class _Watch(threading.Thread):
    """When the published graph reached which size, and the most memory that its process took, in bytes of PSS."""

    def __init__(self, projector: Projector) -> None:
        super().__init__(daemon=True)
        self.reached: list[tuple[float, int]] = []
        self.peak_pss = 0
        self.cpu_s = 0.0
        self.done = threading.Event()
        self._projector = projector

    def run(self) -> None:
        while not self.done.wait(0.05):
            size = self._projector.size
            if not self.reached or self.reached[-1][1] != size:
                self.reached.append((time.perf_counter(), size))
                self.peak_pss = max(self.peak_pss, _pss(self._projector.pid))
                self.cpu_s = _cpu_s(self._projector.pid)

    def wait_for(self, size: int) -> float:
        """When the graph covered a size."""
        while not (self.reached and self.reached[-1][1] >= size):
            time.sleep(0.05)
        return next(at for at, reached in self.reached if reached >= size)


def _cpu_s(pid: int | None) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int | None) -> int:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def follow(events: int, rate: float) -> list[Result]:
    """The projector's process beside a node that captures so many events a second, or (0) as fast as it can."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        projector = Projector(folder / "graph", folder / "node" / DATABASE)
        settings = NodeSettings(folder / "node", origin="loomark.example/bench", companions=(projector,))
        with open_node(settings, preparer=InlinePreparer()) as node:
            packer = _admitted(node)
            watch = _Watch(projector)
            watch.start()
            started = time.perf_counter()
            sizes: list[tuple[float, int]] = []
            for document in reference_documents(events, SEED, PER_DOCUMENT):
                if rate:
                    time.sleep(max(0.0, started + len(sizes) * PER_DOCUMENT / rate - time.perf_counter()))
                node.capture.capture(packer, document, "application/ld+json", settled=True)
                sizes.append((time.perf_counter(), node.state()["size"]))
            captured = time.perf_counter() - started
            followed = watch.wait_for(sizes[-1][1]) - started
            watch.done.set()
            lags = sorted(watch.wait_for(size) - at for at, size in sizes)
    return [
        _result("graph: captured beside the projector", events / captured, "events/s", "", None),
        _result("graph: followed", events / followed, "events/s", "", None),
        _result("graph: followed, CPU of one core", events / watch.cpu_s, "events/s", f"asked {ASKED_RATE} events/s", events / watch.cpu_s / ASKED_RATE),
        _result("graph: lag, median", lags[len(lags) // 2], "s", "", None),
        _result("graph: lag, longest", lags[-1], "s", "", None),
        _result("graph: left when the last was captured", followed - captured, "s", "", None),
        _result("graph: projector's memory, most PSS", watch.peak_pss / 2**20, "MiB", "", None),
    ]  # fmt: skip


def timed(action: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU in all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def bulk(lines: list[bytes], path: Path, batch: int) -> tuple[float, float]:
    """The peer: the store alone, fed with finished N-Quads."""
    store = Store(str(path))
    parts = [b"".join(lines[start : start + batch]) for start in range(0, len(lines), batch)]

    def load() -> None:
        for part in parts:
            store.bulk_load(part, RdfFormat.N_QUADS)

    return timed(load)


def measure(events: int) -> list[Result]:
    """The figures of this section."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        node = filled(folder / "node", events)
        try:
            return _measured(node, folder, events)
        finally:
            node.close()


def _measured(node: Node, folder: Path, events: int) -> list[Result]:
    projection = open_projection(folder / "graph", Source(node.reading))
    wall, cpu = timed(projection.advance)
    lines = (projection.store.dump(format=RdfFormat.N_QUADS) or b"").splitlines(keepends=True)
    publish, _ = timed(projection.publish)
    projection.close()
    # In the order in which the projector wrote them a peer would be at home; a dump is sorted, which helps it.
    batched, _ = bulk(lines, folder / "batched", 40_000)
    whole, _ = bulk(lines, folder / "whole", len(lines))
    quads = len(lines)
    rate, peer = quads / wall, quads / min(batched, whole)
    again = open_projection(folder / "graph", Source(node.reading))
    again._progress._database.execute("UPDATE placed SET partial = -1 WHERE record % 10 = 0")
    again._graph.cover(node.state()["size"] - 1)
    moved, _ = timed(again.advance)
    again.close()
    return [
        _result("graph: projected", events / wall, "events/s", f"asked {ASKED_RATE} events/s", events / wall / ASKED_RATE),
        _result("graph: projected, CPU of one core", events / cpu, "events/s", f"asked {ASKED_RATE} events/s", events / cpu / ASKED_RATE),
        _result("graph: quads written", rate, "quads/s", f"bulk load of the same quads, {peer:.0f} quads/s (asked {ASKED_SHARE})", rate / peer),
        _result("graph: quads an event", quads / events, "quads", "", None),
        _result("graph: a record whose class changed", moved / (events / 10) * 1e6, "us", "", None),
        _result("graph: publish a snapshot", publish * 1e3, "ms", "", None),
    ]  # fmt: skip


def profile(events: int) -> None:
    """Where the projector's time goes."""
    with tempfile.TemporaryDirectory() as place:
        node = filled(Path(place) / "node", events)
        projection = open_projection(Path(place) / "graph", Source(node.reading))
        profiler = cProfile.Profile()
        profiler.runcall(projection.advance)
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(25)
        projection.close()
        node.close()


def _result(name: str, value: float, unit: str, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--rate", type=float, default=0.0, help="events a second to capture, with --follow")
    options = parser.parse_args()
    if options.profile:
        profile(options.events)
        return
    for row in follow(options.events, options.rate) if options.follow else measure(options.events):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
