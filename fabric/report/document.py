"""The report as a document (`loomark/report/v1`): its sections, how they are read, what the operator signs.

A report has sections that are recomputed (`answer`, `fsma204`), sections that say from what (`question`,
`identifiers`, `links`, `evidence`), and names for people (`members`). One signature of an operator key of this log covers
digests of all of them, so the operator's word in it can be held against the operator; docs/spec/report.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from fabric.epcis.link import parse_link
from fabric.epcis.times import parse_time
from fabric.trace import Direction, Options, Question
from fabric.trace.document import time_text
from fabric.trace.reach import Budget
from fabric.trace.source import LinkRow
from ledger import shape
from ledger.bundle import Step, UnverifiedBundle, bundle_of
from ledger.canonical import JSON, canonical
from ledger.errors import InvalidInput
from ledger.identifier import Identifier
from ledger.key_record import KeyRecord, key_record_of
from ledger.verify import STEPS as BUNDLE_STEPS

REPORT: Final = "loomark/report/v1"
PAYLOAD_TYPE: Final = "application/vnd.loomark.report.v1+json"
SECTIONS: Final = ("question", "answer", "fsma204", "identifiers", "links", "members", "evidence")
MAX_IDENTIFIERS: Final = 65_536
MAX_NODES: Final = 10_000
"""The most things that an answer in a report has; a walk that would reach more ends, and says so."""

BUDGET: Final = Budget(MAX_NODES, None)
"""The budget of every report: no clock, so that a verifier's walk ends where the node's did."""

STEPS: Final[Mapping[int, str]] = {
    **BUNDLE_STEPS,
    11: "operator's signature over the report",
    12: "disclosed records",
    13: "trace, holders and quantities recomputed",
    14: "completeness recomputed",
}

_REPORT: Final = frozenset({"report", *SECTIONS, "operator"})
_QUESTION: Final = frozenset({"thing", "direction", "at", "options", "reader", "asked"})
_OPTIONS: Final = frozenset({"exposed", "kill_step", "making_place"})
_IDENTIFIER: Final = frozenset({"kind", "value", "member", "from", "until", "by"})
_KINDS: Final = frozenset({"gln", "prefix", "iri"})
_LINK: Final = frozenset({"index", "member", "statement", "salt", "body"})
_MEMBER: Final = frozenset({"member", "name"})
_OPERATOR: Final = frozenset({"position", "record", "path", "sections", "signature"})
_DIRECTIONS: Final = frozenset(one.value for one in Direction)


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator's key record with its place under the last seal, section digests in hex, and what signs those."""

    position: int
    record: KeyRecord
    path: tuple[bytes, ...]
    sections: Mapping[str, str]
    signature: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedReport:
    """A well-formed report. `value` is the whole of it as JSON; `reader` is the member it was made for, or None."""

    value: dict[str, JSON]
    question: Question
    reader: str | None
    asked: str
    identifiers: tuple[Identifier, ...]
    links: tuple[LinkRow, ...]
    members: Mapping[str, str]
    evidence: UnverifiedBundle
    operator: Operator


def parse_report(value: JSON) -> UnverifiedReport:
    """Step 1 for a report that :func:`ledger.canonical.parse_json` parsed; raises VerificationError with the place."""
    with Step(1, ""):
        obj = shape.members(value, "report", _REPORT)
        if obj["report"] != REPORT:
            raise InvalidInput(f"expected {REPORT}, got another format", rule="bad-version")
    with Step(1, "/question"):
        asked = shape.members(obj["question"], "question", _QUESTION)
        question = _question(asked)
        reader = None if asked["reader"] is None else shape.member_name(asked["reader"], "reader")
        shape.time_ms(asked["asked"], "asked")
    with Step(1, "/answer"):
        if type(obj["answer"]) is not dict:
            raise InvalidInput("expected an object", rule="bad-shape")
    with Step(1, "/fsma204"):
        shape.array(obj["fsma204"], "fsma204", 0, MAX_NODES)
    identifiers = _each(obj, "identifiers", _identifier)
    links = _each(obj, "links", _link)
    members = dict(_each(obj, "members", _member))
    with Step(1, "/operator"):
        operator = _operator(obj["operator"])
    evidence = bundle_of(obj["evidence"], "/evidence")
    return UnverifiedReport(
        obj,
        question,
        reader,
        asked["asked"],
        tuple(identifiers),
        tuple(links),
        members,
        evidence,
        operator,
    )


def question_json(question: Question, reader: str | None, asked: str) -> dict[str, JSON]:
    """The section `question`."""
    return {
        "thing": question.thing,
        "direction": question.direction.value,
        "at": time_text(question.at_us),
        "options": dict(question.options.as_json()),
        "reader": reader,
        "asked": asked,
    }


def identifier_json(one: Identifier) -> dict[str, JSON]:
    """One row of the section `identifiers`; `by` is the log index of the operator's statement."""
    return {
        "kind": one.kind,
        "value": one.value,
        "member": one.member,
        "from": shape.time_text(one.from_ms),
        "until": None if one.until_ms is None else shape.time_text(one.until_ms),
        "by": one.by,
    }


def digests(value: Mapping[str, Any]) -> dict[str, str]:
    """The digest of each section. Of the evidence only which records it discloses, and how far: the rest proves itself."""
    found = {name: sha256(canonical(value[name])).hexdigest() for name in SECTIONS if name != "evidence"}
    rows: Sequence[Mapping[str, Any]] = value["evidence"]["records"]
    shown = [[row["commitment"], "record" in row["disclosure"]] for row in rows]
    found["evidence"] = sha256(canonical([value["evidence"]["checkpoint"], shown])).hexdigest()
    return found


def signed_bytes(keyid: str, sections: Mapping[str, str]) -> bytes:
    """The bytes that the operator signs: DSSE's pre-authentication encoding of key and section digests."""
    payload = canonical({"report": REPORT, "key": keyid, "sections": dict(sections)})
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _each(obj: Mapping[str, JSON], name: str, read: Callable[[JSON], Any]) -> list[Any]:
    with Step(1, f"/{name}"):
        items = shape.array(obj[name], name, 0, MAX_IDENTIFIERS)
    found = []
    for number, item in enumerate(items):
        with Step(1, f"/{name}/{number}"):
            found.append(read(item))
    return found


def _question(obj: Mapping[str, JSON]) -> Question:
    on = shape.members(obj["options"], "options", frozenset(), _OPTIONS)
    place = None if "making_place" not in on else shape.text(on["making_place"], "making_place")
    exposed = None if "exposed" not in on else shape.count(on["exposed"], "exposed")
    kill = None if "kill_step" not in on else shape.text(on["kill_step"], "kill_step")
    return Question(
        shape.text(obj["thing"], "thing"),
        Direction(shape.choice(obj["direction"], "direction", _DIRECTIONS)),
        _at(obj["at"]),
        Options(place, kill, exposed),
        BUDGET,
    )


def _at(value: JSON) -> int | None:
    if value is None:
        return None
    found = parse_time(shape.text(value, "at", 40))
    if found is None or time_text(found[0]) != value:
        raise InvalidInput("expected a time in UTC, in its shortest spelling", rule="bad-time")
    return found[0]


def _identifier(value: JSON) -> Identifier:
    obj = shape.members(value, "identifier", _IDENTIFIER)
    return Identifier(
        shape.choice(obj["kind"], "kind", _KINDS),
        shape.text(obj["value"], "value", 2_048),
        shape.member_name(obj["member"], "member"),
        shape.time_ms(obj["from"], "from"),
        None if obj["until"] is None else shape.time_ms(obj["until"], "until"),
        shape.count(obj["by"], "by"),
    )


def _link(value: JSON) -> LinkRow:
    obj = shape.members(value, "link", _LINK)
    body = parse_link(obj["body"])
    shape.count(obj["index"], "index")
    shape.member_name(obj["member"], "member")
    shape.hex_bytes(obj["salt"], "salt")
    return body.one.iri, body.other.iri, shape.hex_text(obj["statement"], "statement", 16)


def _member(value: JSON) -> tuple[str, str]:
    obj = shape.members(value, "member", _MEMBER)
    return shape.member_name(obj["member"], "member"), shape.text(obj["name"], "name")


def _operator(value: JSON) -> Operator:
    obj = shape.members(value, "operator", _OPERATOR)
    sections = shape.members(obj["sections"], "sections", frozenset(SECTIONS))
    return Operator(
        shape.count(obj["position"], "position"),
        key_record_of(obj["record"]),
        shape.hash_path(obj["path"], "path"),
        {name: shape.hex_text(digest, name) for name, digest in sections.items()},
        shape.base64_bytes(obj["signature"], "signature", 64),
    )


__all__ = [
    "BUDGET",
    "PAYLOAD_TYPE",
    "REPORT",
    "SECTIONS",
    "STEPS",
    "Operator",
    "UnverifiedReport",
    "digests",
    "identifier_json",
    "parse_report",
    "question_json",
    "signed_bytes",
]
