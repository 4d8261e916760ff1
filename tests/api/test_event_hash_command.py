"""`loomark event-hash` as people and scripts run it: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

VECTORS = json.loads((Path(__file__).parents[2] / "docs/spec/vectors/event-hash.json").read_text("utf-8"))[
    "vectors"
]
TWICE = next(vector for vector in VECTORS if "correction" in vector["name"])


def run(file: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.cli", "event-hash", str(file), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "document.json"
    file.write_text(json.dumps(TWICE["document"]), "utf-8")
    return file


def test_each_event_has_a_line_with_its_place_its_id_and_its_hash(document: Path) -> None:
    done = run(document)
    first, second = TWICE["hashes"]
    assert done.stdout == f"0  -  {first}\n1  urn:example:event:1  {second}  error declaration\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_json_has_the_pre_image_where_it_is_asked_for(document: Path) -> None:
    done = run(document, "--json", "--pre-image")
    events: list[dict[str, Any]] = json.loads(done.stdout)["events"]
    assert [(one["index"], one["eventID"], one["hash"]) for one in events] == [
        (0, None, TWICE["hashes"][0]),
        (1, "urn:example:event:1", TWICE["hashes"][1]),
    ]
    assert [one["preImage"] for one in events] == TWICE["preImages"]
    assert [one["errorDeclaration"] for one in events] == [False, True]
    assert "preImage" not in run(document, "--json").stdout


def test_an_event_that_cannot_be_hashed_is_told_and_the_others_are_hashed(document: Path) -> None:
    value = json.loads(document.read_text("utf-8"))
    value["epcisBody"]["eventList"][0]["eventTime"] = "\x1b[2Jsoon"
    document.write_text(json.dumps(value), "utf-8")
    done = run(document, "--json")
    first, second = json.loads(done.stdout)["events"]
    assert (done.returncode, first["hash"], second["hash"]) == (1, None, TWICE["hashes"][1])
    assert first["findings"][0]["pointer"] == "/epcisBody/eventList/0/eventTime"
    plain = run(document, "--pre-image")
    assert plain.returncode == 1
    assert plain.stdout.startswith("0  -  no hash\n1  urn:example:event:1  ni:///sha-256;")
    assert "[bad-time]" in plain.stderr
    assert "\x1b" not in plain.stderr


def test_xml_is_hashed_as_the_same_event_in_json(tmp_path: Path) -> None:
    file = tmp_path / "event.xml"
    file.write_text(
        '<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0" '
        'creationDate="2026-05-04T09:00:00Z"><EPCISBody><EventList><AggregationEvent>'
        "<eventTime>2026-05-04T08:11:12Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>"
        "<parentID>urn:epc:id:sscc:0614141.1234567890</parentID>"
        "<childEPCs><epc>urn:example:box:2</epc><epc>urn:example:box:1</epc></childEPCs><action>ADD</action>"
        '<bizTransactionList><bizTransaction type="urn:epcglobal:cbv:btt:po">urn:epcglobal:cbv:bt:9506000000015:7'
        "</bizTransaction><bizTransaction>urn:example:bt:1</bizTransaction></bizTransactionList>"
        "<childQuantityList><quantityElement><epcClass>urn:epc:class:lgtin:9506000.013435.L1</epcClass>"
        "<quantity>12.50</quantity><uom>KGM</uom></quantityElement><quantityElement>"
        "<epcClass>urn:epc:idpat:sgtin:9506000.013435.*</epcClass></quantityElement></childQuantityList>"
        "</AggregationEvent></EventList></EPCISBody></e:EPCISDocument>",
        "utf-8",
    )
    done = run(file)
    assert (done.returncode, done.stdout) == (0, f"0  -  {TWICE['hashes'][0]}\n")


@pytest.mark.parametrize("text", ["", "{", "[]", "<a/>", '{"type": "EPCISDocument"}'])
def test_a_file_without_events_ends_with_one_and_a_reason(tmp_path: Path, text: str) -> None:
    file = tmp_path / "document"
    file.write_text(text, "utf-8")
    done = run(file, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("loomark: ") or "\nloomark: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "nothing.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing.json" in done.stderr
