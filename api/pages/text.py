"""Things, times, amounts and words as people say them. Pure; the templates use these as filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from fabric.report import units

_GS1: Final = re.compile(r"https://id\.gs1\.org/([0-9]{2,4})/([^/]+)((?:/[^/]+/[^/]+)*)\Z")
_KEYS: Final = {
    "00": "SSCC",
    "01": "GTIN",
    "253": "GDTI",
    "255": "GCN",
    "401": "GINC",
    "402": "GSIN",
    "414": "GLN",
    "417": "Party GLN",
    "8003": "GRAI",
    "8004": "GIAI",
    "8006": "ITIP",
    "8010": "CPID",
    "8013": "GMN",
    "8017": "GSRN-P",
    "8018": "GSRN",
}
_QUALIFIERS: Final = {
    "10": "lot",
    "21": "serial",
    "22": "variant",
    "254": "extension",
    "235": "serial",
    "8011": "serial",
}
_MEMBER: Final = "urn:loomark:member:"
_DOCUMENT: Final = "urn:epcglobal:cbv:bt:"


def name(iri: str | None, labels: Mapping[str, str]) -> str:
    """A thing by its label where master data gives one, else by its GS1 key, else as it is."""
    if not iri:
        return ""
    label = labels.get(iri)
    if label is not None:
        return label
    match = _GS1.match(iri)
    if match is None:
        return _plain_name(iri)
    key, value, rest = match.groups()
    parts = rest.split("/")[1:]
    whole = labels.get(iri[: len(iri) - len(rest)]) or f"{_KEYS.get(key, key)} {unquote(value)}"
    return ", ".join([whole, *_qualifiers(parts)])


def code(iri: str) -> str:
    """What tells a thing from others of its product: `lot 7`, `serial 12`; without a product its whole name."""
    match = _GS1.match(iri)
    found = _qualifiers(match[3].split("/")[1:]) if match else []
    return ", ".join(found) or name(iri, {})


def product_of(iri: str) -> str | None:
    """The IRI of the product, place or asset type that a thing with qualifiers belongs to; None for others."""
    match = _GS1.match(iri)
    return iri[: len(iri) - len(match[3])] if match and match[3] else None


def member(identifier: str | None, labels: Mapping[str, str]) -> str:
    """A member by the name it was admitted under."""
    return labels.get(_MEMBER + identifier, identifier) if identifier else ""


def member_labels(names: Mapping[str, str]) -> dict[str, str]:
    """Labels that `member` finds, from names by member id."""
    return {_MEMBER + identifier: text for identifier, text in names.items()}


def when(time: str | None) -> str:
    """A UTC time of an answer, to the minute."""
    return f"{minute(time)} UTC" if time else ""


def minute(time: str | None) -> str:
    """A UTC time of an answer to the minute, where a heading says that it is UTC."""
    return f"{time[:10]} {time[11:16]}" if time else ""


def words(slug: str | None) -> str:
    """A slug, CBV word or its IRI with spaces."""
    text = (slug or "").rstrip("/")
    if "://" in text or text.startswith("urn:"):
        text = re.split(r"[/:#]", text)[-1]
    text = re.sub(r"^(?:BizStep|Disp|BTT|SDT)-", "", text)
    return text.replace("_", " ").replace("-", " ")


def spaced(word: str) -> str:
    """A name in camel case as words: `streetAddressOne` is `street address one`."""
    return words(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", word)).lower()


def kind(slug: str) -> str:
    """A kind of thing as people say it: one use of a carrier is a carrier to them."""
    return "carrier" if slug == "filling" else slug


def unit(unit_code: str | None) -> str:
    """A unit of measure by its usual sign; no unit means items."""
    return units.name(unit_code)


def amount(value: str | None, unit_code: str | None) -> str:
    """An amount with its unit; an unknown one says so, because it is not zero."""
    return "amount not stated" if value is None else f"{value} {unit(unit_code)}"


def thing_url(iri: str) -> str:
    """The page of a thing."""
    return "/things/" + quote(iri, safe="")


def trace_url(iri: str, direction: str) -> str:
    """The page of a thing's trace."""
    return f"/trace?thing={quote(iri, safe='')}&direction={direction}"


def _qualifiers(parts: list[str]) -> list[str]:
    return [
        f"{_QUALIFIERS.get(ai, ai)} {unquote(text)}" for ai, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def _plain_name(iri: str) -> str:
    if iri.startswith(("https://ref.gs1.org/", "http://epcis.")):
        return iri.rpartition("/")[2]
    if iri.startswith(_DOCUMENT):
        return unquote(iri.rpartition(":")[2])
    return iri
