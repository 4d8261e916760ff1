"""EPCIS XML beside JSON: one document of the reference events in both, prepared on one core, and captured by a node.

    python -m bench.xml --events 10000

`read` is the XML alone, `prepare` everything up to rows ready to be stored. Memory is the most that a process held in
which nothing else was prepared, above what it held before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from bench.capture import _SENDER, SEED, Spent, Watch, _node
from fabric.capture.pool import InlinePreparer
from fabric.capture.prepare import Limits, prepare
from fabric.epcis.xml_document import read_xml
from fabric.scenario import reference_documents

JSON, XML = "application/ld+json", "application/xml"
TIMES = 3
_LISTED = {"epcList": "epc", "childEPCs": "epc", "inputEPCList": "epc", "outputEPCList": "epc"}
_QUANTITIES = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
_TYPED = {"bizTransactionList": "bizTransaction", "sourceList": "source", "destinationList": "destination"}

Result = dict[str, Any]


def documents(events: int) -> tuple[bytes, bytes]:
    """One document of that many reference events, in JSON and in XML."""
    (body,) = islice(reference_documents(events, SEED, per=events), 1)
    value = json.loads(body)
    prefixes = {"cbvmda": "urn:epcglobal:cbv:mda"} | {
        prefix: uri for entry in value["@context"] if isinstance(entry, dict) for prefix, uri in entry.items()
    }
    declared = "".join([f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in prefixes.items()])
    written = "".join([_event(event) for event in value["epcisBody"]["eventList"]])
    return body, (
        '<?xml version="1.0" encoding="UTF-8"?>\n<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:2"'
        f'{declared} schemaVersion="2.0" creationDate="{value["creationDate"]}"><EPCISBody><EventList>{written}'
        "</EventList></EPCISBody></epcis:EPCISDocument>"
    ).encode()


def _event(event: Mapping[str, Any]) -> str:
    inner = "".join(
        [_member(name, value) for name, value in event.items() if name not in ("type", "@context")]
    )
    return f"<{event['type']}>\n{inner}</{event['type']}>\n"


def _member(name: str, value: Any) -> str:
    if name in _LISTED:
        return f"<{name}>{''.join([_element(_LISTED[name], one) for one in value])}</{name}>\n"
    if name in _QUANTITIES:
        return f"<{name}>{''.join([_element('quantityElement', one) for one in value])}</{name}>\n"
    if name in _TYPED:
        item = _TYPED[name]
        rows = [f"<{item} type={quoteattr(one['type'])}>{escape(one[item])}</{item}>" for one in value]
        return f"<{name}>{''.join(rows)}</{name}>\n"
    return _element(name, value) + "\n"


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join([_element(name, one) for one in value])
    if isinstance(value, dict):
        value = "".join([_element(inner, one) for inner, one in value.items()])
        return f"<{name}>{value}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"


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
