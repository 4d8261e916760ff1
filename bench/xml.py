"""EPCIS XML beside JSON: one document of the reference events in both, prepared, captured by a node, and written.

    python -m bench.xml --events 10000

`read` is the XML alone, `prepare` everything up to rows ready to be stored; `write` is a query document alone, `answer`
all that follows on reading its events from the store. Memory is the most that a process held in
which nothing else was prepared, above what it held before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from bench.capture import _SENDER, SEED, Spent, Watch, _node
from fabric.capture.pool import InlinePreparer
from fabric.capture.prepare import Limits, prepare
from fabric.epcis import read_document
from fabric.epcis.query_document import Shown, json_query_document
from fabric.epcis.representation import EpcFormat, as_sent, translate
from fabric.epcis.xml_document import read_xml
from fabric.epcis.xml_writer import xml_document, xml_query_document
from fabric.scenario import reference_documents
from ledger.canonical import canonical, parse_json

JSON, XML = "application/ld+json", "application/xml"
TIMES = 3
CREATED = "2026-05-04T12:00:00.000Z"

Result = dict[str, Any]


def documents(events: int) -> tuple[bytes, bytes]:
    """One document of that many reference events, in JSON and in XML."""
    (body,) = islice(reference_documents(events, SEED, per=events), 1)
    value = json.loads(body)
    shown = [Shown(event, value["@context"]) for event in value["epcisBody"]["eventList"]]
    return body, xml_document(shown, created=value["creationDate"])


def stored(body: bytes) -> list[bytes]:
    """The events of a document as a node stores them."""
    return [canonical(one.committed) for one in read_document(body, JSON).events]


def shown_of(rows: list[bytes]) -> list[Shown]:
    """What an answer makes of stored events before it writes them: read, named by Digital Links."""
    parted = [as_sent(parse_json(row)) for row in rows]
    return [Shown(translate(event, EpcFormat.DIGITAL_LINK), context) for event, context in parted]


def written(as_json: bytes, events: int) -> list[Result]:
    """What it takes to write a query document of `events` events, alone and as the last step of an answer."""
    rows = stored(as_json)
    shown = shown_of(rows)
    in_json = best(lambda: json_query_document(shown, created=CREATED, query_name=None)) / events
    in_xml = best(lambda: xml_query_document(shown, created=CREATED, query_name=None)) / events
    from_json = best(lambda: json_query_document(shown_of(rows), created=CREATED, query_name=None)) / events
    from_xml = best(lambda: xml_query_document(shown_of(rows), created=CREATED, query_name=None)) / events
    return [
        _row("xml: write JSON, CPU", in_json.cpu_s * 1e6, "us/event", "", None),
        _row("xml: write XML, CPU", in_xml.cpu_s * 1e6, "us/event", "write JSON", in_xml.cpu_s / in_json.cpu_s),
        _row("xml: answer in JSON, CPU", from_json.cpu_s * 1e6, "us/event", "", None),
        _row("xml: answer in XML, CPU", from_xml.cpu_s * 1e6, "us/event", "answer in JSON", from_xml.cpu_s / from_json.cpu_s),
        _row("xml: answer in XML, rate", 1 / from_xml.cpu_s, "events/s of one core", "JSON: half", from_json.cpu_s / from_xml.cpu_s),
    ]  # fmt: skip


def best(work: Callable[[], object]) -> Spent:
    """The least that a few runs of the work took."""
    found = []
    for _ in range(TIMES):
        watch = Watch()
        work()
        found.append(watch.spent())
    return min(found, key=lambda spent: spent.cpu_s)


def grown_mib(body: bytes, media_type: str) -> float:
    """The memory that preparing a document took at its most, in a process of its own, in MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_grown, (body, media_type)))


def _grown(body: bytes, media_type: str) -> float:
    # The mark of the highest use is set back to what is used now (Linux), so that it is of this document alone.
    Path("/proc/self/clear_refs").write_text("5")
    before = _highest_kib()
    prepare(body, media_type, _LIMITS, os.urandom)
    return (_highest_kib() - before) / 1024


def _highest_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def captured(body: bytes, media_type: str) -> float:
    """Seconds from submitted bytes to a checkpoint that covers them, for one document alone."""
    with tempfile.TemporaryDirectory() as name, _node(Path(name) / "node", InlinePreparer(_LIMITS)) as node:
        began = time.perf_counter()
        job = node.capture.capture(_SENDER, body, media_type, settled=True)
        if job.state != "sequenced":
            raise RuntimeError(f"expected a sequenced capture, got {job}")
        return time.perf_counter() - began


_LIMITS = Limits(body_bytes=256 * 1024 * 1024)


def measure(events: int) -> list[Result]:
    """All figures of one document of `events` events."""
    as_json, as_xml = documents(events)
    read = best(lambda: read_xml(as_xml)) / events
    in_json = best(lambda: prepare(as_json, JSON, _LIMITS, os.urandom)) / events
    in_xml = best(lambda: prepare(as_xml, XML, _LIMITS, os.urandom)) / events
    json_s, xml_s = captured(as_json, JSON), captured(as_xml, XML)
    size = len(as_xml) / 1024 / 1024
    return [
        _row("xml: document", size, "MiB", "JSON", len(as_xml) / len(as_json)),
        _row("xml: read, CPU", read.cpu_s * 1e6, "us/event", "", None),
        _row("xml: prepare JSON, CPU", in_json.cpu_s * 1e6, "us/event", "", None),
        _row("xml: prepare XML, CPU", in_xml.cpu_s * 1e6, "us/event", "prepare JSON", in_xml.cpu_s / in_json.cpu_s),
        _row("xml: prepare XML, rate", 1 / in_xml.cpu_s, "events/s of one core", "JSON: half", in_json.cpu_s / in_xml.cpu_s),
        _row("xml: JSON captured", events / json_s, "events/s", "", None),
        _row("xml: XML captured", events / xml_s, "events/s", "JSON captured: half", json_s / xml_s),
        _row("xml: prepare JSON, memory", grown_mib(as_json, JSON), "MiB", "", None),
        _row("xml: prepare XML, memory", grown_mib(as_xml, XML), "MiB", "", None),
        *written(as_json, events),
    ]  # fmt: skip


def _row(name: str, value: float, unit: str, beside: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": beside, "ratio": ratio}


def main() -> None:
    """Print the figures as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    for row in measure(parser.parse_args().events):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
