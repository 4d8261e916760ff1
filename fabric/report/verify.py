"""The offline verifier of reports: every proof, then every conclusion again. No network, no clock.

Steps 1 to 10 are those of a proof bundle, for every record of the report. Then:

11. an operator key of this log signed the report, and its sections are those that it signed;
12. every disclosed record is valid, so that it can be read;
13. the trace with its holders, hand-overs and quantities follows from the records;
14. so does the completeness of each lot.

::

    verified = verify_report(parse_json(data), parse_policy(policy_text))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fabric.compliance import Dossier
from fabric.trace import Coverage, Trace
from ledger import ed25519, merkle
from ledger.bundle import Step
from ledger.canonical import JSON
from ledger.errors import InvalidInput, VerificationError
from ledger.policy import Policy
from ledger.shape import second_text
from ledger.verify import UNWITNESSED, VerifiedBundle, Verifier

from .answer import answer, dossier_of, without_operators_word
from .document import SECTIONS, STEPS, UnverifiedReport, digests, parse_report, signed_bytes

ALWAYS_OPERATORS_WORD: Final = (
    "completeness: that no record that belongs here was left out",
    "freshness: that nothing was recorded after this checkpoint",
    "identifier registry: which member held which identifier, and that no later statement moved one",
)
"""What no report proves, whatever is in it."""

_RECOMPUTED: Final = ("answer", "fsma204")
_SHOWN: Final = 120
_DISPUTE: Final = 8
_QUORUM: Final = 9


@dataclass(frozen=True, slots=True)
class VerifiedReport:
    """A report whose every proof holds and whose every conclusion follows; only :func:`verify_report` makes it.

    `records` are in the order of the evidence, as are those of `dossier`; `trace` is the answer as it was computed
    again; `words` is what remains the operator's word. `missing_quorum` says what was expected of witnesses and not
    found, where such a report was asked to be shown; everything but the cosignatures then holds.
    """

    report: UnverifiedReport
    records: tuple[VerifiedBundle, ...]
    dossier: Dossier
    trace: Trace
    words: tuple[str, ...]
    missing_quorum: str | None = None

    @property
    def answer(self) -> Mapping[str, Any]:
        """The trace (`loomark/trace/v1`)."""
        found: Mapping[str, Any] = self.report.value["answer"]
        return found

    @property
    def fsma204(self) -> Sequence[Mapping[str, Any]]:
        """The completeness of each affected lot."""
        found: Sequence[Mapping[str, Any]] = self.report.value["fsma204"]
        return found

    def as_json(self) -> dict[str, Any]:
        """The verdict, for `loomark verify --json`; `verified` only where every step holds for every record."""
        first = self.records[0]
        return {
            "verified": self._holds(_DISPUTE) and self._holds(_QUORUM),
            "kind": "report",
            "thing": self.report.question.thing,
            "direction": self.report.question.direction.value,
            "reader": self.report.reader,
            "asked": self.report.asked,
            "log": first.statement.log,
            "size": first.tree_size,
            "time": self.answer["time"],
            "notBefore": _time(
                min((one.not_before_s for one in self.records if one.not_before_s), default=None)
            ),
            "notAfter": _time(first.not_after_s),
            "unwitnessed": first.unwitnessed,
            "cosigners": {one.name: second_text(one.time_s) for one in first.cosigners},
            "disputed": sum(one.is_disputed for one in self.records),
            "steps": [
                {
                    "number": number,
                    "name": name,
                    "ok": self._holds(number),
                    "detail": detail,
                }
                for (number, name), detail in zip(STEPS.items(), self._details(), strict=True)
            ],
            "records": [_record_json(one) for one in self.records],
            "affected": len(self.answer["affected"]),
            "gaps": sum(len(lot["gaps"]) for lot in self.fsma204),
            "operatorsWord": list(self.words),
        }

    def _holds(self, step: int) -> bool:
        """Whether a step holds; those that a report is not shown without always do."""
        if step == _QUORUM:
            return self.missing_quorum is None
        return step != _DISPUTE or not _disputed(self.records)

    def _details(self) -> Iterator[str]:
        first, count = self.records[0], len(self.records)
        full = sum(one.opened.full for one in self.records)
        captures = len({one.index for one in self.records})
        yield "well-formed, within the limits"
        yield f"{_counted(full, 'whole record')} and {count - full} in part"
        yield f"{_counted(count, 'record')} of {_counted(captures, 'capture')}"
        yield f"signed in the names of {', '.join(sorted({one.member for one in self.records}))}"
        yield f"{_counted(captures, 'entry', 'entries')} of {first.tree_size}"
        yield _counted(len({one.seal_index for one in self.records}), "seal")
        yield _counted(len({one.key.keyid for one in self.records}), "active key")
        disputed = sum(one.is_disputed for one in self.records)
        told = f"{_counted(disputed, 'record')} by a key that is disputed"
        yield told if disputed else "no key disputed at its entries"
        told = first.steps[_QUORUM - 1].detail
        yield told if self.missing_quorum is None else f"signed by the log; {self.missing_quorum}"
        yield "none carried"
        yield f"signed by operator key {self.report.operator.record.keyid[:16]}…"
        events, gaps = len(self.dossier.facts), sum(len(lot["gaps"]) for lot in self.fsma204)
        yield f"{_counted(events, 'valid event')}, {_counted(count - events, 'other record')}"
        yield f"from the records: {_counted(len(self.answer['affected']), 'affected thing')}"
        yield f"{_counted(len(self.fsma204), 'lot')}, {_counted(gaps, 'gap')}"


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def verify_report(value: JSON, policy: Policy, *, shows_unwitnessed: bool = False) -> VerifiedReport:
    """Verify a report that :func:`ledger.canonical.parse_json` parsed, under a policy.

    With `shows_unwitnessed` a missing quorum does not fail at step 9 but is said, and the report is not `verified`.
    Raises VerificationError with the first step that fails and the JSON pointer of the place.
    """
    report = parse_report(value)
    records, missing = _verified_records(report, policy, shows_unwitnessed)
    _check_operator(report)
    found_digests = digests(report.value)
    _check_sections(report, found_digests, [name for name in SECTIONS if name not in _RECOMPUTED])
    dossier = dossier_of(records)
    with Step(13, "/answer"):
        limited = report.reader is not None
        try:
            found = answer(
                report.question,
                dossier,
                report.identifiers,
                _coverage(report),
                limited=limited,
                links=report.links,
            )
        except OverflowError:
            raise InvalidInput("expected times within the calendar", rule="bad-time") from None
    _compare(without_operators_word(report.value["answer"]), found.trace, "/answer", 13)
    _compare(report.value["fsma204"], found.fsma204, "/fsma204", 14)
    _check_sections(report, found_digests, _RECOMPUTED)
    return VerifiedReport(report, records, dossier, found.found, tuple(_words(report, records)), missing)


def _verified_records(
    report: UnverifiedReport, policy: Policy, shows_unwitnessed: bool
) -> tuple[tuple[VerifiedBundle, ...], str | None]:
    """Steps 1 to 10, and what is missing of the quorum where only that failed and it may."""
    try:
        return Verifier(policy, shows_disputed=True).verify_all(report.evidence), None
    except VerificationError as error:
        refusal = error.__cause__
        if not (shows_unwitnessed and isinstance(refusal, InvalidInput) and refusal.rule == "no-quorum"):
            raise
    alone = Verifier(replace(policy, quorum=None), shows_disputed=True)
    return alone.verify_all(report.evidence), refusal.message


def _coverage(report: UnverifiedReport) -> Coverage:
    """The tree size and time that the answer is about: those of the checkpoint, and of the seal that ends it."""
    return Coverage(report.evidence.checkpoint.size, report.evidence.last.seal.time_ms * 1000)


def _check_operator(report: UnverifiedReport) -> None:
    """Step 11 for the key and its signature."""
    operator, seal = report.operator, report.evidence.last.seal
    record = operator.record
    with Step(11, "/operator/record"):
        size, root = seal.after
        merkle.verify_inclusion(operator.position, size, merkle.leaf_hash(record.leaf()), operator.path, root)
        if record.use != "operator" or record.state != "active" or not record.is_valid_at(seal.time_ms):
            raise InvalidInput("expected an active operator key, got another", rule="wrong-use")
    with Step(11, "/operator/signature"):
        signed = signed_bytes(record.keyid, operator.sections)
        if not ed25519.verify(record.key, signed, operator.signature):
            raise InvalidInput("expected the operator's signature over this report", rule="bad-signature")


def _check_sections(report: UnverifiedReport, found: Mapping[str, str], names: Iterable[str]) -> None:
    """Step 11 for some sections. Those that are computed again come last, when the exact place is known."""
    for name in names:
        if found[name] != report.operator.sections[name]:
            raise VerificationError(
                "expected the section that the operator signed, got another", 11, f"/{name}"
            )


def _compare(stated: Any, found: Any, place: str, step: int) -> None:
    """Raise at the first member in which what a report states differs from what was found."""
    different = _difference(stated, found)
    if different is not None:
        way, message = different
        # The way was collected from the inside out.
        pointer = "".join([f"/{token.replace('~', '~0').replace('/', '~1')}" for token in reversed(way)])
        raise VerificationError(message, step, place + pointer)


def _difference(stated: Any, found: Any) -> tuple[list[str], str] | None:
    """The way from the first difference out to the whole, and what is different there."""
    if type(stated) is dict and type(found) is dict:
        if stated.keys() != found.keys():
            return _other_members(stated, found)
        for name, value in found.items():
            inner = _difference(stated[name], value)
            if inner is not None:
                inner[0].append(name)
                return inner
        return None
    if type(stated) is list and type(found) is list:
        for number, (one, other) in enumerate(zip(stated, found, strict=False)):
            inner = _difference(one, other)
            if inner is not None:
                inner[0].append(str(number))
                return inner
        if len(stated) != len(found):
            return [], f"expected {len(found)} items, got {len(stated)}"
        return None
    if type(stated) is type(found) and stated == found:
        return None
    return [], f"expected {_shown(found)}, got {_shown(stated)}"


def _other_members(stated: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[list[str], str]:
    name = min(stated.keys() ^ found.keys())
    if name in found:
        return [name], f"expected {_shown(found[name])}, got no such member"
    return [name], "expected no such member, got one"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _words(report: UnverifiedReport, records: Sequence[VerifiedBundle]) -> Iterator[str]:
    """What remains the operator's word after everything else was checked."""
    yield from ALWAYS_OPERATORS_WORD
    if report.links:
        yield "links: that members stated these same links in the log, and no others that belong here"
    if any(hit["continues"] is not None for hit in report.value["answer"]["affected"]):
        yield f"hidden records: {report.value['answer']['hidden']} that this reader may not see, and where they continue"
    if (erased := report.value["answer"].get("erased")) is not None:
        yield f"erased records: {erased['records']} that named things shown here; what they said is unknown"
    if report.reader is not None:
        yield f"that these are all the records that {report.reader} may see about it"
    if records[0].unwitnessed:
        yield UNWITNESSED
    for keyid, disputed in sorted(_disputed(records).items()):
        first = disputed[0]
        yield (
            f"disputed: {len(disputed)} records in the name of {first.member} were signed with key {keyid[:16]}…, which is"
            f" disputed from index {first.disputed_from} on; whoever had the key may have made them"
        )
    kept = sorted({one.member for one in records if one.custody == "service"})
    if kept:
        yield f"custody: records of {', '.join(kept)} were authenticated by API key and signed by the node"
    if any(one.not_before_s is None for one in records):
        yield "no independent lower bound of time for some records: issued is the signer's claim"


def _disputed(records: Sequence[VerifiedBundle]) -> dict[str, list[VerifiedBundle]]:
    found: dict[str, list[VerifiedBundle]] = {}
    for one in records:
        if one.is_disputed:
            found.setdefault(one.key.keyid, []).append(one)
    return found


def _record_json(one: VerifiedBundle) -> dict[str, Any]:
    return {
        "record": one.commitment.hex(),
        "index": one.index,
        "position": one.position,
        "member": one.member,
        "custody": one.custody,
        "full": one.opened.full,
        "issued": one.statement.issued,
        "sealTime": one.seal_time,
        "disputedFrom": one.disputed_from,
        "disputed": one.is_disputed,
    }


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else second_text(seconds)


__all__ = ["ALWAYS_OPERATORS_WORD", "VerifiedReport", "verify_report"]
