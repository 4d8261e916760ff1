"""What a request's headers ask of the answer, and the GS1 headers that every answer has (EPCIS 2.0, REST binding).

A route declares :data:`Negotiating` and answers with :func:`answer`. A header that cannot be read is refused with 400
and its name as the pointer (`/header/GS1-EPC-Format`), one that cannot be met with 406.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request, Response

from api.problems import NotAcceptable
from fabric.epcis.representation import CbvFormat, EpcFormat
from ledger.errors import Finding, InvalidInput

JSON: Final = "application/json"
JSON_LD: Final = "application/ld+json"
XML: Final = "application/xml"
TEXT_XML: Final = "text/xml"
OFFERED: Final = (JSON, JSON_LD, XML, TEXT_XML)
"""The forms of an answer, the one for whoever has no preference first."""

EPCIS_VERSION: Final = "2.0.0"
CBV_VERSION: Final = "2.0.0"
OLDEST_CAPTURED: Final = {"GS1-EPCIS-Min": "1.0.0", "GS1-CBV-Min": "1.0.0"}
"""The oldest versions that are captured; answers are of :data:`EPCIS_VERSION` and :data:`CBV_VERSION` only."""
VENDOR_VERSION: Final = f"Loomark/{version('loomark')}"

EXTENSIONS: Final = {"cbvmda": "urn:epcglobal:cbv:mda:"}
"""Prefixes that have a meaning in every question, declared or not."""
MAX_EXTENSIONS: Final = 64
MAX_EXTENSIONS_LENGTH: Final = 8_192
_VERSION: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
# What is taken is told back in a header, so that it has only what may stand in one.
_NAMESPACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]+", re.ASCII)
_RANGE: Final = re.compile(r"(\*|[\w!#$&^.+-]+)/(\*|[\w!#$&^.+-]+)", re.ASCII)
_QUALITY: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_VARIES: Final = "Accept, Authorization, Cookie, GS1-EPC-Format, GS1-CBV-XML-Format, GS1-Extensions"


_Word = TypeVar("_Word", EpcFormat, CbvFormat)


class BadHeader(InvalidInput):
    """A header that cannot be read; the pointer names it."""

    default_rule = "bad-header"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What the answer to one request is like: its media type, its identifiers, and the prefixes the caller declared."""

    media_type: str = JSON
    epc_format: EpcFormat = EpcFormat.DIGITAL_LINK
    cbv_format: CbvFormat = CbvFormat.NO_PREFERENCE
    extensions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_xml(self) -> bool:
        """Whether the answer's body is XML."""
        return self.media_type in (XML, TEXT_XML)

    def headers(self) -> dict[str, str]:
        """The GS1 headers of the answer."""
        cbv = {"GS1-CBV-XML-Format": self.cbv_format.value} if self.is_xml else {}
        return {**base_headers(self.extensions), "GS1-EPC-Format": self.epc_format.value, **cbv}


def base_headers(extensions: Mapping[str, str] | None = None) -> dict[str, str]:
    """The GS1 headers that do not depend on a format: also those of refusals."""
    declared = ", ".join(
        f"{prefix}={namespace}" for prefix, namespace in {**EXTENSIONS, **(extensions or {})}.items()
    )
    return {
        "GS1-EPCIS-Version": EPCIS_VERSION,
        "GS1-CBV-Version": CBV_VERSION,
        "GS1-Extensions": declared,
        "GS1-Vendor-Version": VENDOR_VERSION,
        "Vary": _VARIES,
    }


def negotiated(request: Request) -> Negotiated:
    """What `request` asks for, of the forms that nearly everything here has. Raises BadHeader, NotAcceptable."""
    return negotiate(told(request))


Negotiating = Annotated[Negotiated, Depends(negotiated)]


def told(request: Request) -> dict[str, str]:
    """The headers of `request` by lower-case name; one that came several times is the list of its values."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def negotiate(headers: Mapping[str, str], offered: Sequence[str] = OFFERED) -> Negotiated:
    """What the headers ask for, of the `offered` media types. Raises BadHeader, NotAcceptable.

    Names of `headers` are lower case. Where nothing is said the answer is JSON with GS1 Digital Links.
    """
    check_versions(headers)
    return Negotiated(media_type_for(headers.get("accept"), offered), *formats_asked(headers))


def formats_asked(headers: Mapping[str, str]) -> tuple[EpcFormat, CbvFormat, dict[str, str]]:
    """The formats of identifiers and words that are asked for, and the prefixes declared. Raises BadHeader."""
    return (
        _one_of(EpcFormat, headers, "GS1-EPC-Format", EpcFormat.DIGITAL_LINK),
        _one_of(CbvFormat, headers, "GS1-CBV-XML-Format", CbvFormat.NO_PREFERENCE),
        read_extensions(headers.get("gs1-extensions", "")),
    )


def check_versions(headers: Mapping[str, str]) -> None:
    """Refuse bounds on the versions of EPCIS and CBV that this node's answers are not within.

    Versions compare by their first two numbers: what follows them are errata, which documents do not tell apart.
    """
    for name, ours in (("EPCIS", EPCIS_VERSION), ("CBV", CBV_VERSION)):
        lowest, highest = f"GS1-{name}-Min", f"GS1-{name}-Max"
        low, high = _version(headers, lowest), _version(headers, highest)
        if low is not None and low > _numbers(ours):
            raise _unmet(lowest, f"at most {ours}", headers[lowest.lower()])
        if high is not None and high < _numbers(ours):
            raise _unmet(highest, f"at least {ours}", headers[highest.lower()])


def check_sent_versions(headers: Mapping[str, str]) -> None:
    """Refuse a body that its headers `GS1-EPCIS-Version` or `GS1-CBV-Version` say is of a version not captured here."""
    for name, newest in (("EPCIS", EPCIS_VERSION), ("CBV", CBV_VERSION)):
        header, oldest = f"GS1-{name}-Version", OLDEST_CAPTURED[f"GS1-{name}-Min"]
        sent = _version(headers, header)
        if sent is not None and not _numbers(oldest) <= sent <= _numbers(newest):
            raise _unmet(header, f"a version from {oldest} to {newest}", headers[header.lower()])


def answer(
    asked: Negotiated, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in the form that was asked for, with all headers of the standard; `headers` are added to them."""
    return Response(body, status, {**asked.headers(), **(headers or {})}, asked.media_type)


def media_type_for(accept: str | None, offered: Sequence[str]) -> str:
    """The media type of `offered` that `Accept` prefers (RFC 9110, section 12.5.1). Raises BadHeader, NotAcceptable.

    Of several with one quality the first offered is taken. Parameters of a range other than `q` are not looked at.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = _ranges(accept)
    qualities = {one: _quality(one, ranges) for one in offered}
    best = max(offered, key=lambda one: qualities[one])
    if qualities[best] <= 0:
        raise _unmet("Accept", " or ".join(offered), accept)
    return best


def read_extensions(text: str) -> dict[str, str]:
    """Prefixes and their namespaces of a header `GS1-Extensions` (`ex=https://example.com/, ex2=…`).

    Raises BadHeader for what is no such list, or binds one prefix twice.
    """
    if len(text) > MAX_EXTENSIONS_LENGTH:
        raise _unreadable("GS1-Extensions", f"at most {MAX_EXTENSIONS_LENGTH} characters", str(len(text)))
    found: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        prefix, _, namespace = part.partition("=")
        if not _PREFIX.fullmatch(prefix) or not _NAMESPACE.fullmatch(namespace):
            raise _unreadable("GS1-Extensions", "prefix=namespace, …", part)
        if found.setdefault(prefix, namespace) != namespace:
            raise _unreadable("GS1-Extensions", f"one namespace for the prefix {prefix}", "two")
    if len(found) > MAX_EXTENSIONS:
        raise _unreadable("GS1-Extensions", f"at most {MAX_EXTENSIONS} prefixes", str(len(found)))
    return found


def _ranges(accept: str) -> dict[str, float]:
    """The media ranges of an `Accept` header and their qualities."""
    found: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in accept.split(","))):
        name, *parameters = (one.strip() for one in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                if not _QUALITY.fullmatch(value.strip()):
                    raise _unreadable("Accept", "a quality from 0 to 1", value)
                quality = float(value)
        if not _RANGE.fullmatch(name):
            raise _unreadable("Accept", "media types", name)
        found[name.lower()] = quality
    return found


def _quality(media_type: str, ranges: Mapping[str, float]) -> float:
    """The quality of one media type: that of the most specific range that it is in."""
    kind = media_type.partition("/")[0]
    for one in (media_type, f"{kind}/*", "*/*"):
        if one in ranges:
            return ranges[one]
    return 0.0


def _one_of(kind: type[_Word], headers: Mapping[str, str], name: str, default: _Word) -> _Word:
    text = headers.get(name.lower())
    if text is None:
        return default
    try:
        return kind(text.strip())
    except ValueError:
        raise _unreadable(name, " or ".join(kind), text) from None


def _version(headers: Mapping[str, str], name: str) -> tuple[int, int] | None:
    text = headers.get(name.lower())
    if text is None:
        return None
    if not _VERSION.fullmatch(text.strip()):
        raise _unreadable(name, "a version such as 2.0.0", text)
    return _numbers(text.strip())


def _numbers(text: str) -> tuple[int, int]:
    first, _, rest = text.partition(".")
    return int(first), int(rest.partition(".")[0] or 0)


def _unreadable(name: str, expected: str, got: str) -> BadHeader:
    return BadHeader(*_said(name, BadHeader.default_rule, expected, got))


def _unmet(name: str, expected: str, got: str) -> NotAcceptable:
    return NotAcceptable(*_said(name, NotAcceptable.default_rule, expected, got))


def _said(name: str, rule: str, expected: str, got: str) -> tuple[str, tuple[Finding, ...]]:
    finding = Finding(None, f"/header/{name}", rule, expected, got[:80])
    return f"header {name}: expected {expected}, got {finding.got!r}", (finding,)
