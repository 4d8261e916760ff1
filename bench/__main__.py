"""`python -m bench`: every measurement, one after another, into `bench/results.json`.

`BENCH_EVENTS` sets the size of the stores (100,000 by default; the figures in docs are of 1,000,000).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import (
    capture,
    compiled,
    event_hash,
    evidence,
    graph,
    http,
    hyperledger,
    postgres,
    proofs,
    query,
    trace,
    witness,
    xml,
)
from bench.serving import environment_line

OUT = Path(__file__).parent / "results.json"


def main() -> None:
    """Run all sections, print each figure as it is measured, and write the list."""
    events = int(os.environ.get("BENCH_EVENTS", "100000"))
    with tempfile.TemporaryDirectory() as folder:
        sections: list[tuple[str, Callable[[], list[dict[str, Any]]]]] = [
            ("capture", lambda: capture.measure(min(events, 20_000))),
            ("http", lambda: http.measure(events)),
            ("compiled", lambda: compiled.measure(events)),
            ("graph", lambda: graph.measure(min(events, 20_000))),
            ("trace", lambda: trace.measure(events, Path(folder))),
            ("query", lambda: query.measure(events)),
            ("event hash", lambda: event_hash.measure()),
            ("xml", lambda: xml.measure(min(events, 10_000))),
            ("evidence", lambda: evidence.measure()),
            ("proofs", lambda: proofs.measure()),
            ("postgres", lambda: postgres.measure()),
            ("witness", lambda: witness.measure()),
            ("hyperledger", lambda: hyperledger.measure()),
        ]
        rows = [row for name, section in sections for row in _section(name, section)]
    machine = json.loads(environment_line())
    rows.insert(0, {"name": "machine", "value": events, "unit": "events", "against": machine, "ratio": None})
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _section(name: str, section: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    began = time.monotonic()
    sys.stderr.write(f"{name} …\n")
    rows = section()
    for row in rows:
        ratio = "" if row["ratio"] is None else f"  ({row['ratio']:.3g} of {row['against']})"
        sys.stdout.write(f"{row['name']:<60} {row['value']:>12.5g} {row['unit']}{ratio}\n")
    sys.stderr.write(f"{name} took {time.monotonic() - began:.0f} s\n")
    return rows


if __name__ == "__main__":
    main()
