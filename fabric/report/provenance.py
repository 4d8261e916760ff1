"""Building a report on a node: gather what a reader may see, prove it, and derive the answer from that alone.

reporter = Reporter(node.reading, node.log, node.operator)
report = reporter.provenance(question, reader, asked="2026-11-22T10:00:00.000Z")
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from sqlalchemy import Engine

from fabric.capture.proof import Disclosed, Prover
from fabric.compliance import Dossier, read_record
from fabric.compliance.fsma204 import FSMA204, completeness
from fabric.lineage import HolderOf
from fabric.lineage.creation import creation_pointers, shown_units
from fabric.lineage.words import site
from fabric.store.bodies import StoredBody
from fabric.trace import Coverage, Question
from fabric.trace.document import time_text
from fabric.trace.memory import memory_source
from fabric.trace.source import LinkRow
from fabric.visibility.holders import Holders, canonical_party
from fabric.visibility.reader import Reader
from ledger import shape
from ledger.canonical import JSON
from ledger.ed25519 import Signer, key_id
from ledger.errors import InvalidInput, NotFound, TooLarge, Unavailable
from ledger.identifier import Identifier
from ledger.log.publish import Published
from ledger.log.reader import LogReader, StatementProof
from ledger.registry import Registry
from ledger.seal import parse_seal

from .answer import answer, told_by_operator, with_operators_word
from .document import BUDGET, REPORT, digests, identifier_json, question_json, signed_bytes
from .gather import Gathered, gather, gather_lot

MAX_RECORDS: Final = 5_000
"""The most records that one report discloses; at the size of real events they stay below a bundle's limit."""

_ATTEMPTS: Final = 8


class Reporter:
    """Builds reports. Safe to share by threads; `engine` gives connections that need not be able to write."""

    def __init__(self, engine: Engine, log: LogReader, operator: Signer) -> None:
        self._engine = engine
        self._log = log
        self._operator = operator

    def provenance(self, question: Question, reader: Reader, *, asked: str) -> dict[str, JSON]:
        """The report for one reader, of the tree size that is published now.

        `asked` is the time of asking, `YYYY-MM-DDThh:mm:ss.sssZ`. Raises NotFound for what the reader cannot
        see, Unavailable when the registry changed while the report was made.
        """
        question = replace(question, budget=BUDGET)
        for _ in range(_ATTEMPTS):
            published = self._log.published()
            published = self._anchored(question, reader, published) or published
            built = self._attempt(question, reader, asked, published, self._log.registry(published))
            if built is not None:
                return built
        raise Unavailable("the registry changed while the report was made; try again")

    def _anchored(self, question: Question, reader: Reader, published: Published) -> Published | None:
        """The checkpoint that organisations cosigned, where it covers all that the newest one has to say here.

        It is left alone where the registry changed since: a report says which keys and identifiers are in force.
        """
        anchored = self._log.anchored()
        if anchored is None:
            return None
        size, registry = anchored.checkpoint.size, self._log.registry(published)
        if self._log.registry(anchored).root() != registry.root():
            return None
        gathered, _ = self._gather(question, reader, published, registry)
        indices = [stored.capture.idx for stored, _ in gathered.records] + [one.seq for one in gathered.links]
        return anchored if all(index is not None and index < size for index in indices) else None

    def completeness(self, lot: str, reader: Reader) -> dict[str, JSON]:
        """What the records of one lot state under FSMA 204 (`loomark/fsma204/v1`), as one reader sees them now.

        Raises NotFound for what the reader cannot see, InvalidInput for what is no lot.
        """
        published, registry = self._log.published(), self._log.registry()
        coverage, holder_of = self._coverage(published), Holders(registry.identifiers).member_of
        with self._engine.connect() as connection:
            gathered = gather_lot(connection, reader, lot, coverage, holder_of)
        dossier = _dossier(gathered)
        source = memory_source(dossier.facts, coverage, holder_of)
        limited = not reader.all
        (found,) = completeness([lot], source, dossier, holder_of, limited=limited)
        head = {
            "schema": FSMA204,
            "size": coverage.size,
            "time": time_text(coverage.time_us),
            "limited": limited,
        }
        return {**head, **found.as_json()}

    def _attempt(
        self, question: Question, reader: Reader, asked: str, published: Published, registry: Registry
    ) -> dict[str, JSON] | None:
        gathered, coverage = self._gather(question, reader, published, registry)
        if not gathered.records:
            raise NotFound(f"no visible record names {question.thing}", rule="not-found")
        if len(gathered.records) > MAX_RECORDS:
            raise TooLarge(
                f"expected an answer over at most {MAX_RECORDS} records, got {len(gathered.records)}; ask for one "
                "direction, or for a later thing",
                rule="report-too-large",
            )
        pinned = cast(LogReader, _Pinned(self._log, published))
        evidence = Prover(self._engine, pinned).bundle(map(_disclosed, gathered.records)).as_json()
        dossier = _dossier(gathered)
        identifiers = relevant_identifiers(registry, dossier)
        rows = [_link_row(one) for one in gathered.links]
        found = answer(question, dossier, identifiers, coverage, limited=not reader.all, links=rows)
        members = {record.member for record in dossier.records} | {one.member for one in identifiers}
        members |= {one.member for one in gathered.links}
        report: dict[str, JSON] = {
            "report": REPORT,
            "question": question_json(question, None if reader.all else reader.member, asked),
            "answer": with_operators_word(found.trace, told_by_operator(gathered.document)),
            "fsma204": found.fsma204,
            "identifiers": [identifier_json(one) for one in identifiers],
            "links": [_link_json(one) for one in gathered.links],
            "members": [{"member": one, "name": _name(registry, one)} for one in sorted(members)],
            "evidence": evidence,
        }
        return self._signed(report, registry)

    def _gather(
        self, question: Question, reader: Reader, published: Published, registry: Registry
    ) -> tuple[Gathered, Coverage]:
        coverage = self._coverage(published)
        holder_of: HolderOf = Holders(registry.identifiers).member_of
        with self._engine.connect() as connection:
            return gather(connection, reader, question, coverage, holder_of), coverage

    def _coverage(self, published: Published) -> Coverage:
        size = published.checkpoint.size
        return Coverage(size, parse_seal(self._log.entry(size - 1)).time_ms * 1000)

    def _signed(self, report: dict[str, JSON], registry: Registry) -> dict[str, JSON] | None:
        """The report with the operator's signature, or None when the registry is another than the evidence's."""
        if report["evidence"]["last"]["seal"]["after"] != [registry.size, registry.root().hex()]:
            return None
        keyid = key_id(self._operator.public_bytes)
        position, path = registry.path(keyid)
        sections = digests(report)
        report["operator"] = {
            "position": position,
            "record": registry.record(keyid).as_json(),
            "path": [one.hex() for one in path],
            "sections": sections,
            "signature": shape.base64_text(self._operator.sign(signed_bytes(keyid, sections))),
        }
        return report


class _Pinned:
    """A log reader's proofs against one published checkpoint, while the log grows."""

    def __init__(self, log: LogReader, published: Published) -> None:
        self._log, self._published = log, published

    def proof_parts(self, index: int, published: Published | None = None) -> StatementProof:
        return self._log.proof_parts(index, published or self._published)

    def anchored(self) -> None:
        """What it is pinned to was chosen before."""


def relevant_identifiers(registry: Registry, dossier: Dossier) -> list[Identifier]:
    """The identifiers of the registry that can decide who holds a place or party that the events name."""
    iris: set[str] = set()
    for fact in dossier.facts:
        iris.update(place for place in (fact.read_point, fact.biz_location) if place is not None)
        iris.update(name for _, name in (*fact.sources, *fact.destinations))
    names = iris | {_site(iri) for iri in iris}
    prefixes = {name[:size] for name in names if name.isdecimal() for size in range(4, 13)}
    found = [
        one
        for one in registry.identifiers
        if (one.value in prefixes if one.kind == "prefix" else _canonical(one) in names)
    ]
    return sorted(found, key=lambda one: (one.kind, one.value, one.from_ms, one.member))


def _site(iri: str) -> str:
    return site(iri) or iri


def _canonical(one: Identifier) -> str:
    return canonical_party(one.value) if one.kind == "iri" else one.value


def _disclosed(one: tuple[Any, bool]) -> Disclosed:
    stored, whole = one
    value = stored.value() or {}
    pointers = None if whole else creation_pointers(value)
    return Disclosed(stored, pointers)


def _dossier(gathered: Gathered) -> Dossier:
    """The records as the verifier will read them."""
    records = []
    for number, (stored, whole) in enumerate(gathered.records):
        value = stored.value() or {}
        if not whole:
            value = shown_units(value)
        if stored.capture.idx is None:
            raise InvalidInput("expected a record that is in the log", rule="not-sequenced")
        records.append(
            read_record(
                value,
                number=number,
                commitment=stored.commitment,
                member=stored.capture.member,
                index=stored.capture.idx,
                position=stored.position,
                # Without its salt a record cannot be opened in full: the verifier reads it as one shown in part.
                full=whole and stored.salt is not None,
            )
        )
    return Dossier(records)


def _link_row(one: StoredBody) -> LinkRow:
    first, second = one.value()["same"]
    return first, second, one.statement_id


def _link_json(one: StoredBody) -> dict[str, JSON]:
    return {
        "index": one.seq,
        "member": one.member,
        "statement": one.statement_id,
        "salt": one.salt.hex(),
        "body": one.value(),
    }


def _name(registry: Registry, member: str) -> str:
    known = registry.members.get(member)
    return member if known is None else known.name


__all__ = ["Reporter", "relevant_identifiers"]
