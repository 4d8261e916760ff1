"""The answer of a report, from nothing but disclosed records: what the node states and the verifier computes again.

Node and verifier run this same code over the same records, so a difference is a difference in the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from fabric.compliance import Dossier, Record, read_record
from fabric.compliance.fsma204 import completeness_of_all
from fabric.trace import Coverage, Question, Trace, trace
from fabric.trace.memory import memory_source
from fabric.trace.source import LinkRow
from fabric.visibility.holders import Holders
from ledger.bundle import Step
from ledger.identifier import Identifier
from ledger.verify import VerifiedBundle

HIDDEN: Final = frozenset({"none", "1-9", "10-99", "100+"})


class Answer(NamedTuple):
    """The trace document and the completeness of each affected lot, as JSON values; `found` is the trace itself."""

    trace: dict[str, Any]
    fsma204: list[dict[str, Any]]
    found: Trace


def answer(
    question: Question,
    dossier: Dossier,
    identifiers: Iterable[Identifier],
    coverage: Coverage,
    *,
    limited: bool,
    links: Iterable[LinkRow] = (),
) -> Answer:
    """What follows from the records of a dossier. Raises what `fabric.trace.trace` raises.

    `links` are the `same` links that the answer may follow; `limited` says that the report is for a reader from whom records may be hidden.
    """
    holders = Holders(identifiers)
    found = trace(question, memory_source(dossier.facts, coverage, holders.member_of, links=links))
    complete = completeness_of_all(found, dossier, holders.member_of, limited=limited)
    return Answer(dict(found.as_json()), complete, found)


def dossier_of(verified: Iterable[VerifiedBundle]) -> Dossier:
    """The records of a verified bundle, in its order. Raises VerificationError of step 12 with the record's place."""
    return Dossier(_record(number, one) for number, one in enumerate(verified))


def told_by_operator(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a trace that only a node with all records can tell: what is hidden, and what continues there."""
    continues = [
        (hit["thing"], hit["kind"], hit.get("filling"), hit["continues"]) for hit in document["affected"]
    ]
    stops = [one for one in document["stops"] if one["reason"] == "hidden"]
    told = {"hidden": document["hidden"], "continues": continues, "stops": stops}
    return told | {"erased": document["erased"]} if "erased" in document else told


def with_operators_word(document: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """A recomputed trace with what the operator tells about hidden records put in."""
    known = {(thing, kind, repr(filling)): word for thing, kind, filling, word in told["continues"]}
    affected = [
        {**hit, "continues": known.get((hit["thing"], hit["kind"], repr(hit.get("filling"))))}
        for hit in document["affected"]
    ]
    stops = [*document["stops"], *told["stops"]]
    stops.sort(key=lambda one: (one["thing"], one["reason"], one["detail"]))
    changed = {**document, "affected": affected, "stops": stops, "hidden": told["hidden"]}
    return changed | {"erased": told["erased"]} if "erased" in told else changed


def without_operators_word(document: Mapping[str, Any]) -> dict[str, Any]:
    """A trace as it would be for a reader from whom nothing is hidden: what can be computed again."""
    affected, stops = document.get("affected"), document.get("stops")
    changed = dict(document)
    if _is_erased(document.get("erased")):
        del changed["erased"]
    if document.get("hidden") in HIDDEN:
        changed["hidden"] = "none"
    if isinstance(affected, list):
        changed["affected"] = [_whole(hit) for hit in affected]
    if isinstance(stops, list):
        changed["stops"] = [
            one for one in stops if not (isinstance(one, dict) and one.get("reason") == "hidden")
        ]
    return changed


def _is_erased(value: Any) -> bool:
    """Whether a value counts erased records by thing: what nobody can compute again, but can be read strictly."""
    if (
        not isinstance(value, dict)
        or value.keys() != {"records", "things"}
        or type(value["things"]) is not list
    ):
        return False
    return type(value["records"]) is int and all(
        isinstance(one, dict)
        and one.keys() == {"thing", "records"}
        and type(one["thing"]) is str
        and type(one["records"]) is int
        for one in value["things"]
    )


def _whole(hit: Any) -> Any:
    if isinstance(hit, dict) and hit.get("continues") in (True, False):
        return {**hit, "continues": None}
    return hit


def _record(number: int, one: VerifiedBundle) -> Record:
    with Step(12, f"/evidence/records/{number}/disclosure"):
        return read_record(
            one.record,
            number=number,
            commitment=one.commitment,
            member=one.member,
            index=one.index,
            position=one.position,
            full=one.opened.full,
        )


__all__ = [
    "Answer",
    "answer",
    "dossier_of",
    "told_by_operator",
    "with_operators_word",
    "without_operators_word",
]
