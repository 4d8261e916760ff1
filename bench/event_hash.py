"""The event hash ID, per event: a document of 200 events and one of a single event, from bytes to hashes.

Where the reference generator (`epcis-event-hash-generator` on PyPI) can be imported, it hashes the same bytes in the same
run, and what it gives must be what we give; otherwise a row says that it was not measured. It is no dependency of
anything here: install it elsewhere and add that folder to PYTHONPATH.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from fabric.epcis.event_hash_file import hash_file

Result = dict[str, Any]
Hashes = Callable[[bytes], list[str | None]]

_CONTEXT = [
    "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
    {"ex": "https://example.org/ns/"},
]
_REFERENCE = "epcis_event_hash_generator"
_ABSENT = f"{_REFERENCE} is not importable: not measured against it"


def measure() -> list[Result]:
    """All figures, as `bench/results.json` holds them."""
    reference = _reference()
    return [_row(reference, count, rounds) for count, rounds in ((200, 5), (1, 60))]


def _row(reference: Hashes | None, count: int, rounds: int) -> Result:
    """The fastest of some documents for each; all have identifiers of their own, so that no cache helps."""
    documents = [_document(count, number) for number in range(rounds)]
    ours_s, ours = _fastest(_hash_ids, documents)
    ours_us = ours_s / count * 1e6
    name = f"event hash ID, a document of {count} event{'s' if count > 1 else ''}"
    row = {"name": name, "value": ours_us, "unit": "us/event", "against": _ABSENT, "ratio": None}
    if reference is not None:
        theirs_s, theirs = _fastest(reference, documents)
        if ours != theirs:
            raise RuntimeError(
                "the reference generator gives other hashes for the documents of the measurement"
            )
        theirs_us = theirs_s / count * 1e6
        row |= {"against": f"{_REFERENCE}, {theirs_us:.0f} us/event", "ratio": theirs_us / ours_us}
    return row


def _hash_ids(data: bytes) -> list[str | None]:
    return [one.hash_id for one in hash_file(data)]


def _reference() -> Hashes | None:
    try:
        reader = importlib.import_module(f"{_REFERENCE}.json_to_py")
        generator = importlib.import_module(f"{_REFERENCE}.hash_generator")
    except ImportError:
        return None
    logging.getLogger().setLevel(logging.ERROR)

    def hashes(data: bytes) -> list[str | None]:
        events = reader.event_list_from_epcis_document_str(data.decode())
        return list(generator.epcis_hashes_from_events(events))

    return hashes


def _fastest(hashes: Hashes, documents: list[bytes]) -> tuple[float, list[list[str | None]]]:
    """Seconds for one document, and all hashes."""
    taken, found = [], []
    for data in documents:
        # Time of this process alone: other work on the machine would count for the slower of the two.
        began = time.process_time()
        found.append(hashes(data))
        taken.append(time.process_time() - began)
    return min(taken), found


def _document(count: int, series: int) -> bytes:
    body = {"eventList": [_event(series * count + number) for number in range(count)]}
    frame = {"schemaVersion": "2.0", "creationDate": "2026-05-04T09:00:00Z", "epcisBody": body}
    return json.dumps({"@context": _CONTEXT, "type": "EPCISDocument", **frame}).encode()


def _event(number: int) -> dict[str, Any]:
    serials = [f"urn:epc:id:sgtin:9506000.013435.{number}{letter}" for letter in "ABC"]
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:example:event:{number}",
        "eventTime": f"2026-05-04T{number % 24:02}:{number % 60:02}:12.345+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "disposition": "in_transit",
        "epcList": [*serials, f"https://id.gs1.org/01/09506000134352/21/{number}D"],
        "quantityList": [
            {
                "epcClass": f"urn:epc:class:lgtin:9506000.013435.L{number}",
                "quantity": number + 0.5,
                "uom": "KGM",
            }
        ],
        "readPoint": {"id": "urn:epc:id:sgln:9506000.00001.0"},
        "bizTransactionList": [
            {"type": "po", "bizTransaction": f"urn:epcglobal:cbv:bt:9506000000015:{number}"}
        ],
        "ex:crate": {"ex:colour": "green", "ex:number": number},
    }


if __name__ == "__main__":
    for row in measure():
        sys.stdout.write(json.dumps(row) + "\n")
