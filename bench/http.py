"""Capture over HTTP, from POST to a signed checkpoint that covers it; load generator and node on the same cores.

python -m bench.http --events 20000
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2

from bench.capture import Spent, floor
from bench.serving import Served, wait_until_covered
from fabric.scenario import members_json, reference_documents, reference_world
from ledger.canonical import canonical

THINGS = 3
SINGLE_EVENTS = 200
CLIENTS = 3
SEED = 7
JSON_LD = {"Content-Type": "application/ld+json"}
EARLY_EVENTS = 50_000

Result = dict[str, Any]


def measure(events: int) -> list[Result]:
    """All figures of capture over HTTP with about `events` events in the store at the end."""
    with tempfile.TemporaryDirectory() as name, Served(Path(name) / "node") as node:
        api_key = next(iter(node.admit(members_json(reference_world())).values()))
        early_events = min(EARLY_EVENTS, max(5_000, events // 2))
        least = _floor(Path(name), min(early_events, 10_000))
        early = _documents(node, api_key, reference_documents(early_events, SEED)) / early_events
        late = early
        if events > early_events:
            _documents(node, api_key, reference_documents(events - early_events, SEED + 1))
            # As many as early ones, so that filling and emptying the pipeline weighs the same in both.
            late = _documents(node, api_key, reference_documents(early_events, SEED + 2)) / early_events
        single_ms = _singles(node, api_key)
        memory = node.pss_bytes()
    return _results(events, least, early, late, single_ms, memory)


def _floor(folder: Path, events: int) -> Spent:
    return floor(list(reference_documents(events, SEED + 3)), folder / "floor.db", canonical) / events


def _documents(node: Served, api_key: str, documents: Iterator[bytes]) -> Spent:
    """Seconds, by the clock and of CPU in the node's processes, from the first POST until a checkpoint covers the last document, by a few clients at once.

    Documents are made beforehand, a thousand at a time, so that making them is not measured.
    """
    wall_s = cpu_s = 0.0
    while batch := list(islice(documents, 1_000)):
        began, used = time.perf_counter(), node.cpu_s()
        _post_all(node, api_key, batch)
        wall_s += time.perf_counter() - began
        cpu_s += node.cpu_s() - used
    return Spent(wall_s, cpu_s)


def _post_all(node: Served, api_key: str, batch: Sequence[bytes]) -> None:
    waiting = iter(batch)
    lock = threading.Lock()
    failures: list[str] = []

    def client() -> None:
        job = ""
        with node.client(api_key) as http:
            while not failures:
                with lock:
                    document = next(waiting, None)
                if document is None:
                    break
                job = _post(http, document)
            if job and wait_until_covered(http, job)["state"] != "sequenced":
                failures.append(job)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"not captured: {failures}")


def _post(http: httpx2.Client, document: bytes) -> str:
    while True:
        answer = http.post("/epcis/capture", content=document, headers=JSON_LD)
        if answer.status_code == 503:
            time.sleep(0.05)
            continue
        answer.raise_for_status()
        return str(answer.headers["location"])


def _singles(node: Served, api_key: str) -> list[float]:
    """Milliseconds from POST of one event to its proof in hand, one after another."""
    found = []
    with node.client(api_key) as http:
        for document in reference_documents(SINGLE_EVENTS, SEED + 4, per=1):
            began = time.perf_counter()
            job = wait_until_covered(http, _post(http, document))
            http.get(f"/api/records/{job['records'][-1]['record']}/proof").raise_for_status()
            found.append((time.perf_counter() - began) * 1000)
    return found


def _results(
    events: int, least: Spent, early: Spent, late: Spent, single_ms: Sequence[float], memory: int
) -> list[Result]:
    p95 = statistics.quantiles(single_ms, n=20)[18]
    rate = 1 / early.wall_s
    return [
        _row("http capture: floor", least.wall_s * 1e6, "us/event", "", None),
        _row("http capture: floor, CPU", least.cpu_s * 1e6, "us/event", "", None),
        _row("http capture: rate", rate, "events/s", "5000 events/s", rate / 5_000),
        _row("http capture: cost", early.wall_s * 1e6, "us/event", "floor", early.wall_s / least.wall_s),
        _row(
            "http capture: cost, CPU", early.cpu_s * 1e6, "us/event", "floor, CPU", early.cpu_s / least.cpu_s
        ),
        _row("http capture: cost per thing reference", early.wall_s * 1e6 / THINGS, "us/reference", "", None),
        _row(
            f"http capture: cost at {events} events, CPU",
            late.cpu_s * 1e6,
            "us/event",
            "cost before, CPU",
            late.cpu_s / early.cpu_s,
        ),
        _row(
            f"http capture: cost at {events} events",
            late.wall_s * 1e6,
            "us/event",
            "cost before",
            late.wall_s / early.wall_s,
        ),
        _row("http single event, POST to proof, p50", statistics.median(single_ms), "ms", "", None),
        _row("http single event, POST to proof, p95", p95, "ms", "300 ms", p95 / 300),
        _row(
            f"memory of the process tree at {events} events",
            memory / 2**20,
            "MiB",
            "1024 MiB",
            memory / 2**30,
        ),
    ]


def _row(name: str, value: float, unit: str, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    for row in measure(parser.parse_args().events):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
