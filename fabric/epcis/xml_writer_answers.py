"""Answers that hold no events, as EPCIS 2.0 XML: capture jobs, problems, collections of names.

The elements of the schema (EPCISCaptureJob, EPCISException) have its order; members that are Loomark's own follow in a
namespace of Loomark, which the schema lets in. Answers must come: a character that XML has no form for becomes U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

EPCIS: Final = "urn:epcglobal:epcis:xsd:2"
OWN: Final = "urn:loomark:term:"
"""The namespace of members that the standard does not have."""

_PROLOG: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9._-]*")
_JOB_ATTRIBUTES: Final = ("running", "success", "captureID")
_JOB: Final = ("captureErrorBehaviour", "createdAt", "finishedAt")
_PROBLEM: Final = ("type", "title", "status", "detail", "instance")


def xml_capture_job(job: Mapping[str, Any]) -> bytes:
    """A job from the members that it has in JSON, as EPCISCaptureJob."""
    return _document(_job(job))


def xml_problem(problem: Mapping[str, Any]) -> bytes:
    """A problem from the members that it has in JSON (RFC 9457), as EPCISException."""
    inner = _problem(problem)
    return _document(f"<epcis:EPCISException{_namespaces()}>{inner}</epcis:EPCISException>")


def xml_collection(members: Iterable[str]) -> bytes:
    """A Collection of names; the schema has no element for it, so that it is `epcis:Collection` with `member`."""
    inner = "".join([f"<member>{_text(one)}</member>" for one in members])
    return _document(f'<epcis:Collection xmlns:epcis="{EPCIS}">{inner}</epcis:Collection>')


def _job(job: Mapping[str, Any]) -> str:
    attributes = "".join([f" {name}={_quoted(job[name])}" for name in _JOB_ATTRIBUTES if name in job])
    inner = "".join([f"<{name}>{_text(job[name])}</{name}>" for name in _JOB if job.get(name) is not None])
    # The schema wants a list of errors to have one: a job without errors has no list.
    if job.get("errors"):
        inner += f"<errors>{''.join([f'<error>{_problem(one)}</error>' for one in job['errors']])}</errors>"
    elif job.get("errorFile") is not None:
        inner += f"<errorFile>{_text(job['errorFile'])}</errorFile>"
    inner += _rest(job, (*_JOB_ATTRIBUTES, *_JOB, "errors", "errorFile"))
    return f"<epcis:EPCISCaptureJob{_namespaces()}{attributes}>{inner}</epcis:EPCISCaptureJob>"


def _problem(problem: Mapping[str, Any]) -> str:
    known = [(name, problem[name]) for name in _PROBLEM if problem.get(name) is not None]
    return "".join([f"<{name}>{_text(value)}</{name}>" for name, value in known]) + _rest(problem, _PROBLEM)


def _rest(value: Mapping[str, Any], known: Sequence[str]) -> str:
    """Members of Loomark's own, after those of the schema."""
    return "".join([_member("loomark:", name, inner) for name, inner in value.items() if name not in known])


def _member(prefix: str, name: str, value: Any) -> str:
    """A member as elements: one for each item of a list, none for nothing; those inside have no namespace."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "".join([_member(prefix, name, one) for one in value])
    tag, attribute = f"{prefix}{name}", ""
    if _NAME.fullmatch(name) is None:
        tag, attribute = f"{prefix}member", f" name={_quoted(name)}"
    inner = (
        "".join([_member("", below, one) for below, one in value.items()])
        if isinstance(value, Mapping)
        else _text(value)
    )
    return f"<{tag}{attribute}>{inner}</{tag}>"


def _plain(value: Any) -> str:
    said = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return _ILLEGAL.sub("\ufffd", said)


def _text(value: Any) -> str:
    return escape(_plain(value), {"\r": "&#13;"})


def _quoted(value: Any) -> str:
    return quoteattr(_plain(value))


def _namespaces() -> str:
    return f' xmlns:epcis="{EPCIS}" xmlns:loomark="{OWN}"'


def _document(root: str) -> bytes:
    return f"{_PROLOG}{root}\n".encode()
