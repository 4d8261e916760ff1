"""One name of a GS1 key in the other syntax: EPC URN to GS1 Digital Link, and back.

The way to a link is total. The way back is a function of the link and the length of its company prefix, and is
defined only where the URN says all that the link says (Tag Data Standard, pure identity URIs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from .company_prefix import CompanyPrefixes
from .digital_link import parse_link
from .gs1 import KEYS, ROOT
from .identifiers import is_absolute_uri
from .thing import BadIdentifier
from .urn import SCHEMES, Scheme, parse_urn

# What the Tag Data Standard leaves bare in a component of a URN.
_BARE: Final = "!'()*+,-.:;=_"


@dataclass(frozen=True, slots=True)
class NoUrn:
    """Why a link has no EPC URN; `rule` is unknown-company-prefix or no-urn-form."""

    rule: str
    expected: str


def link_of(urn: str) -> str | None:
    """The canonical link of an EPC URN; None for a URN of no GS1 key. Raises BadIdentifier."""
    iri = getattr(parse_urn(urn), "iri", None)
    return iri if iri is not None and iri.startswith(ROOT) else None


def urn_of(text: str, prefixes: CompanyPrefixes) -> str | NoUrn:
    """The EPC URN of a Digital Link of any domain; any text that is none as it is.

    A link whose query or fragment says more than its key, or that names a lot besides its serial, has none.
    """
    try:
        thing = parse_link(text) if is_absolute_uri(text) else None
    except BadIdentifier:
        return text
    if thing is None:
        return text
    if "?" in text or "#" in text:
        return NoUrn("no-urn-form", "a link without query and fragment, which no EPC URN has")
    if thing.lot_of is not None:
        return NoUrn("no-urn-form", "a link with serial or lot, for no EPC URN has both")
    ai, value, *rest = thing.iri[len(ROOT) :].split("/")
    value, qualifiers = unquote(value), tuple(zip(rest[::2], map(unquote, rest[1::2]), strict=True))
    scheme, last = _scheme(ai, value, qualifiers)
    if scheme is None:
        names = " and ".join((ai, *rest[::2]))
        return NoUrn("no-urn-form", f"a key with an EPC URN scheme, which {names} has not")
    return _written(scheme, value, last, prefixes)


def _scheme(ai: str, value: str, qualifiers: tuple[tuple[str, str], ...]) -> tuple[Scheme | None, str | None]:
    """The scheme for a key with just these parts, and its last component; None is that of a pattern."""
    if len(qualifiers) > 1:
        return None, None
    if qualifiers:
        name, last = qualifiers[0]
        return _BY_PARTS.get((ai, name)), last
    scheme = _BY_PARTS.get((ai, ""))
    if scheme is None or not scheme.extra:
        return scheme, None
    if scheme.extra == "tail":
        return scheme, value[KEYS[ai].digits :] or None
    return scheme, scheme.none


def _written(scheme: Scheme, value: str, last: str | None, prefixes: CompanyPrefixes) -> str | NoUrn:
    leading, body = _without_check_digit(scheme, value)
    digits = body[: len(body) - len(body.lstrip("0123456789"))]
    length = prefixes.length(digits)
    if length is None or (scheme.shape == "alpha" and length == len(body)):
        return NoUrn("unknown-company-prefix", "a company prefix of known length")
    parts = [body[:length], leading + quote(body[length:], safe=_BARE)]
    if scheme.shape == "pieces":
        parts += [value[-4:-2], value[-2:]]
    name = scheme.name
    if scheme.extra and last is None:
        return f"urn:epc:idpat:{name.rpartition(':')[2]}:{'.'.join(parts)}.*"
    if last is not None:
        parts.append(quote(last, safe=_BARE))
    return f"{name}:{'.'.join(parts)}"


def _without_check_digit(scheme: Scheme, value: str) -> tuple[str, str]:
    """The indicator or extension digit, if the scheme has one, and the rest that begins with the company prefix."""
    if scheme.shape in ("leading", "pieces"):
        return value[0], value[1 : scheme.length]
    if scheme.zero:
        return "", value[1 : 1 + scheme.length]
    return "", value[: scheme.length] if scheme.length else value


def _by_parts() -> dict[tuple[str, str], Scheme]:
    """The scheme of each key and qualifier. Without a qualifier: the one that can leave out its last component."""
    found = {}
    for name, scheme in SCHEMES.items():
        found[scheme.key, scheme.qualifier] = scheme
        if (scheme.pattern or scheme.none) and name != "urn:epc:id:upui":
            found[scheme.key, ""] = scheme
    return found


_BY_PARTS: Final = _by_parts()
