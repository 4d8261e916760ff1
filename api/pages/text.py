"""Things, times and words as people say them. Pure; the templates use these as filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

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


def name(iri: str | None, labels: Mapping[str, str]) -> str:
    """A thing by its label where master data gives one, else by its GS1 key, else as it is."""
    if not iri:
        return ""
    label = labels.get(iri)
    if label is not None:
        return label
    match = _GS1.match(iri)
    if match is None:
        return iri.rpartition("/")[2] if iri.startswith(("https://ref.gs1.org/", "http://epcis.")) else iri
    key, value, rest = match.groups()
    parts = rest.split("/")[1:]
    whole = labels.get(iri[: len(iri) - len(rest)]) or f"{_KEYS.get(key, key)} {unquote(value)}"
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return ", ".join([whole, *(f"{_QUALIFIERS.get(ai, ai)} {unquote(text)}" for ai, text in pairs)])


def when(time: str | None) -> str:
    """A UTC time of an answer, to the minute."""
    if not time:
        return ""
    return time[:10] + " " + time[11:16] + " UTC"


def words(slug: str | None) -> str:
    """A slug, CBV word or its IRI with spaces."""
    text = (slug or "").rstrip("/")
    if "://" in text or text.startswith("urn:"):
        text = re.split(r"[/:#]", text)[-1]
    return text.replace("_", " ").replace("-", " ")


def thing_url(iri: str) -> str:
    """The page of a thing."""
    return "/things/" + quote(iri, safe="")


def trace_url(iri: str, direction: str) -> str:
    """The page of a thing's trace."""
    return f"/trace?thing={quote(iri, safe='')}&direction={direction}"
