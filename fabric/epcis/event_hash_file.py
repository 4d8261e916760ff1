"""Event hash IDs of what a file holds, in JSON or XML; `event_hash` has the rules.

An event of an XML file is hashed as its JSON form. Two published spellings differ between the syntaxes, and each
is kept: an XML file may name the master-data vocabulary of the CBV without a colon at its end, and then so does
the pre-image.
"""

from __future__ import annotations

import re

from ledger.canonical import parse_json
from ledger.errors import Finding, InvalidInput

from .event_hash import Hashed, hash_document
from .xml_document import read_xml
from .xml_parser import looks_like_xml

_MASTER_DATA = "urn:epcglobal:cbv:mda"
_WITHOUT_COLON = re.compile(rf"xmlns:[^\s=]+\s*=\s*[\"']{_MASTER_DATA}[\"']".encode())
# A query's answer whose writer left out what stands around it, as one of the published vectors is.
_ANSWER = re.compile(rb"<(?:queryName|subscriptionID|resultsBody)\b")
_END = re.compile(rb"</(?:\w+:)?EPCISQueryDocument\s*>\s*")
_BODY = re.compile(rb"<(?:\w+:)?EPCISBody\b")


def hash_file(data: bytes) -> list[Hashed]:
    """The events of a document, a query's answer or one event, in order. Raises InvalidInput."""
    return _hash_xml(data) if looks_like_xml(data) else hash_document(parse_json(data))


def _hash_xml(data: bytes) -> list[Hashed]:
    form = read_xml(_completed(data))
    spelled = {"cbvmda": _MASTER_DATA} if _WITHOUT_COLON.search(data) else None
    found = hash_document(form.value, spelled=spelled)
    # What XML says and JSON cannot would be missing from the pre-image; in the frame it takes no part anyway.
    said: dict[int, list[Finding]] = {}
    for finding in form.refused:
        said.setdefault((finding.record or 0) - 1 - len(form.masters), []).append(finding)
    return [_without_hash(one, said[one.position]) if one.position in said else one for one in found]


def _without_hash(one: Hashed, findings: list[Finding]) -> Hashed:
    first = findings[0]
    message = f"{first.pointer or '/'}: expected {first.expected}, got {first.got}"
    return one._replace(pre_image=None, problem=InvalidInput(message, findings, first.rule))


def _completed(data: bytes) -> bytes:
    """The document with the elements that should stand around a query's answer."""
    start, end = _ANSWER.search(data), data.rfind(b"</")
    if start is None or _END.fullmatch(data, end) is None or _BODY.search(data):
        return data
    answer = data[start.start() : end]
    before, after = data[: start.start()], data[end:]
    return b"%b<EPCISBody><QueryResults>%b</QueryResults></EPCISBody>%b" % (before, answer, after)
