"""The report as a page: a rendering of what verified, made from nothing else.

`body` is the inside of a page, for a site that has its own stylesheet; `file` is a whole document that needs nothing
from anywhere and prints well. Jinja2 is the only library, and only here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final
from urllib.parse import unquote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from fabric.compliance.find import HIDDEN, MISSING, NOT_APPLICABLE, PRESENT, UNKNOWN
from fabric.compliance.fsma204 import RULE

from . import units
from .verify import VerifiedReport

AMOUNTS: Final = (
    "made",
    "on_hand",
    "in_transit",
    "used",
    "sold",
    "destroyed",
    "outside",
    "unaccounted",
    "surplus",
)
_ASKED: Final = {
    "forward": "what became of it",
    "backward": "what went into it",
    "both": "what went into it and what became of it",
}
_STATES: Final = (PRESENT, MISSING, UNKNOWN, HIDDEN, NOT_APPLICABLE)
_NAMES: Final = ("name", "descriptionShort", "regulatedProductName", "functionalName")
_QUALIFIED: Final = re.compile(
    r"(https://id\.gs1\.org/01/[0-9]{14})/(10|21|22)/([^/]+)(?:/(10|21)/([^/]+))?\Z"
)
_GS1: Final = re.compile(r"https://id\.gs1\.org/([0-9]+)/([^/]+)\Z")
_IRI: Final = re.compile(r"(?:https?://|urn:)[^\s<>\"]*[^\s<>\".,;:)]")
_WORDS: Final = {"10": "lot", "21": "serial", "22": "variant"}
_KEYS: Final = {"00": "SSCC", "01": "GTIN", "414": "GLN", "417": "GLN", "8003": "GRAI", "8004": "GIAI"}


def body(verified: VerifiedReport, policy: str, drawing: str = "") -> str:
    """The inside of a page. `policy` is the text it was verified under, `drawing` an SVG element of our own."""
    return _render("report.html", verified, policy, drawing)


def file(verified: VerifiedReport, policy: str, drawing: str = "") -> str:
    """A whole document that needs nothing from anywhere."""
    return _render("file.html", verified, policy, drawing)


def names_of(verified: VerifiedReport) -> dict[str, str]:
    """What things are called, by the newest master data that the report discloses."""
    found: dict[str, str] = {}
    for iri, records in verified.dossier.claims.items():
        claims = [one.claim.attributes for one in reversed(records) if one.claim is not None]
        given = (claim.get(name) for name in _NAMES for claim in claims)
        name = next((value for value in given if isinstance(value, str) and value), None)
        if name is not None:
            found[iri] = name
    return found


def _render(template: str, verified: VerifiedReport, policy: str, drawing: str) -> str:
    verdict = verified.as_json()
    values = {
        "thing": verified.report.question.thing,
        "asked_words": _ASKED[verified.report.question.direction.value],
        "question": verified.report.value["question"],
        "answer": verified.answer,
        "verdict": verdict,
        "missing_quorum": verified.missing_quorum,
        "records": verdict["records"],
        "part_count": sum(not one.opened.full for one in verified.records),
        "events": sorted(verified.answer["events"], key=lambda one: (str(one["time"]), one["record"])),
        "amounts": AMOUNTS,
        "fsma": verified.fsma204,
        "fsma_rule": RULE,
        "gaps": [(lot["lot"], gap) for lot in verified.fsma204 for gap in lot["gaps"]],
        "identifiers": verified.report.value["identifiers"],
        "policy": policy.strip(),
        "drawing": drawing,
        "css": _css() if template == "file.html" else "",
    }
    return _environment(verified).get_template(template).render(values)


def _environment(verified: VerifiedReport) -> Environment:
    environment = Environment(
        loader=PackageLoader("fabric.report", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = names_of(verified)
    addresses = {one.commitment.hex(): f"{one.index}.{one.position}" for one in verified.records}
    environment.filters.update(
        name=partial(_name, names=names),
        product=partial(_product, names=names),
        code=_code,
        member=partial(_member, names=verified.report.members),
        address=lambda record: addresses.get(record, record or ""),
        words=lambda word: (word or "").rpartition("/")[2].replace("_", " ").replace("-", " "),
        minute=lambda time: f"{time[:10]} {time[11:16]}" if time else "",
        unit=units.name,
        named=partial(_named, names=names),
        last_part=lambda iri: unquote(iri.rpartition(":")[2] or iri),
        states=_by_state,
    )
    return environment


@cache
def _css() -> str:
    return files("fabric.report").joinpath("templates/report.css").read_text(encoding="utf-8")


def _name(iri: str | None, names: Mapping[str, str]) -> str:
    """A thing by the name master data gives it, else by its key."""
    if not iri:
        return ""
    if iri in names:
        return names[iri]
    if _QUALIFIED.match(iri):
        return f"{_product(iri, names)}, {_code(iri)}"
    match = _GS1.match(iri)
    return iri if match is None else f"{_KEYS.get(match[1], match[1])} {unquote(match[2])}"


def _named(text: str | None, names: Mapping[str, str]) -> str:
    """A sentence of an answer, with things in it called by name."""
    return _IRI.sub(lambda found: _name(found[0], names), text or "")


def _product(iri: str, names: Mapping[str, str]) -> str:
    """The product of a lot or serial, by name; nothing for other things."""
    match = _QUALIFIED.match(iri)
    return "" if match is None else names.get(match[1], f"GTIN {match[1].rpartition('/')[2]}")


def _code(iri: str) -> str:
    """What tells a thing from others of its product."""
    match = _QUALIFIED.match(iri)
    if match is None:
        return _name(iri, {})
    parts = [(match[2], match[3]), (match[4], match[5])]
    return ", ".join(f"{_WORDS[key]} {unquote(value)}" for key, value in parts if key)


def _member(identifier: str | None, names: Mapping[str, str]) -> str:
    return names.get(identifier, identifier) if identifier else ""


def _by_state(event: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    for state in _STATES:
        found = [kde for kde in event["kdes"] if kde["state"] == state]
        if found:
            yield state, found


__all__ = ["AMOUNTS", "body", "file", "names_of"]
