"""A capture job as it is told: the members of the standard, and Loomark's own beside them (docs/spec/capture.md).

Pure: what is told is a function of the stored job and of the records of its capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from fabric.capture.naming import CapturedRecord
from fabric.epcis.xml_writer_answers import xml_capture_job
from fabric.store.jobs import COVERED, REFUSED, SEQUENCED, STAGED, Job
from fabric.store.records import RECORD_IRI

MOST_ERRORS: Final = 100
"""Problems in `errors`; `results` has what became of every record."""

_CONFLICTS: Final = frozenset({"event-id-conflict", "event-exists"})


def job_json(job: Job, records: Sequence[CapturedRecord]) -> dict[str, Any]:
    """A job whole."""
    return {
        **job_summary(job),
        "reason": job.reason,
        "rule": job.rule,
        "custody": None if job.capture is None else "service" if job.custody else "member",
        "records": [_record_json(one) for one in records],
        "results": list(_results(job, records)),
        "warnings": job.notes.get("warnings", []),
        "duplicates": job.notes.get("duplicates", []),
        "unresolvedContexts": job.notes.get("unresolvedContexts", []),
    }


def job_summary(job: Job) -> dict[str, Any]:
    """A job as it stands in a list: the members of the standard, and what leads on from it."""
    finished = _finished(job)
    return {
        "captureID": job.id,
        "createdAt": _time(job.created_ms),
        **({} if finished is None else {"finishedAt": finished}),
        "running": job.state == STAGED,
        "success": is_success(job),
        "captureErrorBehaviour": "proceed" if job.proceeds else "rollback",
        "errors": _errors(job)[:MOST_ERRORS],
        "errorCount": len(job.rejected) or int(job.state == REFUSED),
        "state": job.state,
        "index": job.index,
        "receipt": receipt_path(job),
    }


def job_xml(job: Job) -> bytes:
    """A job as it stands in a list, in XML by the schema of the standard."""
    return xml_capture_job(job_summary(job))


def is_success(job: Job) -> bool:
    """Whether nothing was at fault so far: of a job that proceeds some may be captured all the same."""
    return job.state in (STAGED, SEQUENCED, COVERED) and not job.rejected


def receipt_path(job: Job) -> str | None:
    """Where the receipt of a job is, once there is one."""
    return f"/epcis/capture/{job.id}/receipt" if job.state == SEQUENCED else None


def _finished(job: Job) -> str | None:
    """When a job ended: of what was sequenced by its seal, of all else when it began, as nothing else is written down."""
    if job.state == STAGED:
        return None
    return job.sealed or _time(job.created_ms)


def _results(job: Job, records: Sequence[CapturedRecord]) -> Iterator[dict[str, Any]]:
    """What became of each record of the document after its header, in order of position."""
    repeated = {int(one["record"]): str(one["duplicateOf"]) for one in job.notes.get("duplicates", ())}
    rejected = {int(one["record"]): one["findings"] for one in job.rejected}
    warned: dict[int, list[Any]] = {}
    for one in job.notes.get("warnings", ()):
        warned.setdefault(one["record"], []).append(one)
    # In custody what repeats another record was left out; a signature covers it.
    left_out = rejected.keys() | (repeated.keys() if job.custody or job.capture is None else set())
    kept, position, last = iter(records), 0, max(left_out, default=0)
    record = next(kept, None)
    while record is not None or position <= last:
        told: dict[str, Any] | None = None
        if position in rejected:
            told = {"outcome": "rejected", "findings": rejected[position]}
        elif position in left_out:
            told = {"outcome": "duplicate", "record": repeated[position].removeprefix(RECORD_IRI)}
        elif record is not None:
            told = _kept(job, record, repeated.get(position))
            record = next(kept, None)
        if position and told is not None:
            more = {"warnings": warned[position]} if position in warned else {}
            yield {"position": position, **told, **more}
        position += 1


_OUTCOMES: Final = {SEQUENCED: "accepted", STAGED: "pending", REFUSED: "rejected"}


def _kept(job: Job, one: CapturedRecord, repeats: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "outcome": _OUTCOMES[job.state],
        "record": one.commitment.hex(),
        "eventID": one.event_id,
    }
    if one.is_supplied:
        told["eventIDSupplied"] = True
    if repeats is not None:
        return told | {"outcome": "duplicate", "record": repeats.removeprefix(RECORD_IRI)}
    return told


def _errors(job: Job) -> list[dict[str, Any]]:
    """Problem documents: one for each record that was rejected, or one for a capture that the log refused."""
    if job.rejected:
        return [_rejection(one) for one in job.rejected[:MOST_ERRORS]]
    if job.state == REFUSED:
        return [_problem("SecurityException", 403, job.rule or "refused", job.reason or "")]
    return []


def _rejection(one: Mapping[str, Any]) -> dict[str, Any]:
    first = one["findings"][0]
    rule = first["rule"]
    name, status = (
        ("ResourceAlreadyExistsException", 409) if rule in _CONFLICTS else ("ValidationException", 400)
    )
    # Of a document in which something was erased the rule is all that is kept.
    detail = "what was wrong was erased with what it was about"
    if "expected" in first:
        detail = f"{first['pointer'] or '/'}: expected {first['expected']}, got {first['got']}"
    return {**_problem(name, status, rule, detail), "record": one["record"], "findings": one["findings"]}


def _problem(name: str, status: int, rule: str, detail: str) -> dict[str, Any]:
    title = rule.replace("-", " ").capitalize()
    return {
        "type": f"epcisException:{name}",
        "title": title,
        "status": status,
        "detail": detail,
        "rule": rule,
    }


def _record_json(one: CapturedRecord) -> dict[str, Any]:
    """A record of a job; `proof` is where its own proof is, once the job is sequenced."""
    name = one.commitment.hex()
    place = {"record": name, "position": one.position, "eventID": one.event_id}
    return {**place, "proof": f"/api/records/{name}/proof"}


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
