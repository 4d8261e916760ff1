"""One event in the forms that a reader may ask for: its names as links or as EPC URNs, its words as URIs.

A record commits to its names as they were sent; here is what is answered. EPC URN to GS1 Digital Link is always
possible for a GS1 key. The way back needs the length of the company prefix, which no link states, and a URN scheme
for just these parts; where either is missing the name is refused, never guessed. What is no name of a GS1 key
(private URIs, patterns, URN schemes without a key, addresses of web resources, every extension) stays as it was
sent. docs/spec/identifiers.md::

    translate({"epcList": ["urn:epc:id:sgtin:9506000.013435.7"]}, EpcFormat.DIGITAL_LINK)
    -> {"epcList": ["https://id.gs1.org/01/09506000134352/21/7"]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from ledger.errors import Finding, InvalidInput

from .company_prefix import PACKAGED, CompanyPrefixes, packaged_lengths
from .identity import as_sent as context_as_sent
from .remembered import Remembered
from .thing import BadIdentifier
from .translation import NoUrn, link_of, urn_of
from .words import urns_of, word_reader

Event = dict[str, Any]


class EpcFormat(StrEnum):
    """The values of the header `GS1-EPC-Format` (EPCIS 2.0 REST binding)."""

    NO_PREFERENCE = "No_Preference"
    DIGITAL_LINK = "Always_GS1_Digital_Link"
    URN = "Always_EPC_URN"
    NEVER = "Never_Translates"


class CbvFormat(StrEnum):
    """The values of the header `GS1-CBV-XML-Format` (EPCIS 2.0 REST binding), which is for XML alone."""

    NO_PREFERENCE = "No_Preference"
    WEB_URI = "Always_Web_URI"
    URN = "Always_URN"
    NEVER = "Never_Translates"


class Untranslatable(InvalidInput):
    """A name has no EPC URN that says the same: `rule` is unknown-company-prefix or no-urn-form.

    `pointer` is its place in the event, empty for a name on its own.
    """

    default_rule = "unknown-company-prefix"

    def __init__(self, rule: str, expected: str, got: str, pointer: str = "") -> None:
        finding = Finding(None, pointer, rule, expected, got[:80])
        message = f"{pointer or '/'}: expected {expected}, got {got[:80]}"
        super().__init__(message, (finding,), rule, pointer)
        self.expected = expected
        self.got = got[:80]


def as_sent(committed: Mapping[str, Any]) -> tuple[Event, list[Any]]:
    """A committed event without its `@context`, and the entries of that context as they were sent."""
    event = {name: value for name, value in committed.items() if name != "@context"}
    return event, context_as_sent(committed["@context"])


_Change = Callable[[str], str]
_Places = Mapping[str, Any]
"""Where in an object to look: a member and what to do with its text, or the places below it. Lists are gone through."""


class Translator:
    """Translates with what is known of company prefixes; remembers names that come again. Threads may share it."""

    def __init__(self, prefixes: CompanyPrefixes) -> None:
        self._urns: Remembered[str, str | NoUrn] = Remembered(lambda text: urn_of(text, prefixes), 16_384)
        self._change: dict[EpcFormat, _Change] = {
            EpcFormat.DIGITAL_LINK: _link_if_urn,
            EpcFormat.URN: self._urn_if_link,
        }
        self._places = {form: _filled(_NAMES, {"name": change}) for form, change in self._change.items()}

    def event(self, event: Event, form: EpcFormat) -> Event:
        """`event` with every EPC, class, place, party, document and device named in one form.

        The event itself is not changed, and what needs no translation is shared with the result. NO_PREFERENCE and
        NEVER give it as it is. Raises Untranslatable, which points to the first name without a URN.
        """
        places = self._places.get(form)
        if places is None:
            return event
        try:
            translated: Event = _changed(event, places)
        except Untranslatable:
            self._point_to_it(event, self._change[form])
            raise
        return translated

    def name(self, text: str, form: EpcFormat) -> str:
        """One name in a form, as `event` would write it. Raises Untranslatable."""
        change = self._change.get(form)
        return text if change is None else change(text)

    def _urn_if_link(self, text: str) -> str:
        if text[:4].lower() != "http":
            return text
        urn = self._urns[text]
        if isinstance(urn, str):
            return urn
        raise Untranslatable(urn.rule, urn.expected, text)

    def _point_to_it(self, event: Event, change: _Change) -> None:
        # Pointers are worked out only where one is needed.
        for pointer, text in names_in(event):
            try:
                change(text)
            except Untranslatable as error:
                raise Untranslatable(error.rule, error.expected, text, pointer) from None


def translator_for(own: frozenset[str]) -> Translator:
    """The translator of a node that knows these company prefixes for certain, such as those its members hold.

    One value for equal prefixes, so that what it remembers outlives a request.
    """
    return _TRANSLATORS[own]


def translate(event: Event, form: EpcFormat) -> Event:
    """`Translator.event` with the prefixes of the packaged table. Raises Untranslatable."""
    return _PACKAGED.event(event, form)


def translate_name(text: str, form: EpcFormat) -> str:
    """`Translator.name` with the prefixes of the packaged table. Raises Untranslatable."""
    return _PACKAGED.name(text, form)


def translate_words(event: Event, form: CbvFormat) -> Event:
    """`event` with every word of the standard as the URI that XML needs; a URI of one's own stays.

    WEB_URI and URN rewrite each word; words of the GS1 Web Vocabulary have no URN and become web URIs. The other
    two leave a URI as it was sent, and write a bare word as its URN, as XML documents of either version do.
    """
    written: Event = _changed(event, _WRITTEN[form])
    return written


def names_in(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(JSON pointer, name) of each place in an event that `translate` looks at."""
    return _texts(event, _NAMES, "")


def _changed(value: Any, place: Any) -> Any:
    kind = type(value)
    if kind is str:
        return value if type(place) is dict else place(value)
    if kind is list:
        several = [_changed(item, place) for item in value]
        return value if several == value else several
    if kind is not dict or type(place) is not dict:
        return value
    result = value
    for name, inner in place.items():
        if name in value:
            given = value[name]
            new = _changed(given, inner)
            if new is not given:
                result = {**value} if result is value else result
                result[name] = new
    return result


def _texts(value: Any, place: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, place, f"{where}/{index}")
    elif isinstance(value, Mapping) and isinstance(place, Mapping):
        for name, inner in place.items():
            if name in value:
                yield from _texts(value[name], inner, f"{where}/{name}")
    elif isinstance(value, str) and not isinstance(place, Mapping):
        yield where, value


def _filled(places: _Places, changes: Mapping[str, _Change]) -> dict[str, Any]:
    """Places with what is to be done with the text there, instead of its sort."""
    return {
        name: _filled(inner, changes) if isinstance(inner, Mapping) else changes[inner]
        for name, inner in places.items()
    }


def _link_of_urn(text: str) -> str:
    try:
        return link_of(text) or text
    except BadIdentifier:
        # A member may have asked to keep names that name nothing; such a name is private, byte for byte.
        return text


_LINKS: Final = Remembered(_link_of_urn, 65_536)


def _link_if_urn(text: str) -> str:
    return _LINKS[text] if text[:8].lower() == "urn:epc:" else text


_EPCS = ("parentID", "epcList", "childEPCs", "inputEPCList", "outputEPCList", "transformationID")
_CLASSES = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
_NAMES: Final[_Places] = {
    **dict.fromkeys(_EPCS, "name"),
    **{name: {"epcClass": "name"} for name in _CLASSES},
    "readPoint": {"id": "name"},
    "bizLocation": {"id": "name"},
    "bizTransactionList": {"bizTransaction": "name"},
    "sourceList": {"source": "name"},
    "destinationList": {"destination": "name"},
    "sensorElementList": {"sensorMetadata": {"deviceID": "name"}, "sensorReport": {"deviceID": "name"}},
}
"""The places of names. What only tells where something is found on the web, such as `bizRules`, is not among them."""

_WORDS: Final[_Places] = {
    "bizStep": "bizStep",
    "disposition": "disposition",
    "persistentDisposition": {"set": "disposition", "unset": "disposition"},
    "bizTransactionList": {"type": "bizTransactionType"},
    "sourceList": {"type": "sourceOrDestinationType"},
    "destinationList": {"type": "sourceOrDestinationType"},
    "errorDeclaration": {"reason": "errorReason"},
    "sensorElementList": {
        "sensorReport": {"type": "measurementType", "exception": "exception", "component": "component"}
    },
}
"""The places of words, each with the list it is from."""


def _web_uri(field: str) -> _Change:
    read = word_reader(field)
    return lambda text: read(text) or text


def _urn(field: str) -> _Change:
    read, urns = word_reader(field), urns_of(field)

    def write(text: str) -> str:
        iri = read(text) or text
        return urns.get(iri, iri)

    return write


def _uri(field: str) -> _Change:
    write = _urn(field)
    return lambda text: text if ":" in text else write(text)


_FIELDS: Final = (
    "bizStep",
    "disposition",
    "bizTransactionType",
    "sourceOrDestinationType",
    "errorReason",
    "measurementType",
    "exception",
    "component",
)
_WRITTEN: Final = {
    form: _filled(_WORDS, {field: write(field) for field in _FIELDS})
    for form, write in {
        CbvFormat.WEB_URI: _web_uri,
        CbvFormat.URN: _urn,
        CbvFormat.NO_PREFERENCE: _uri,
        CbvFormat.NEVER: _uri,
    }.items()
}
_PACKAGED: Final = Translator(PACKAGED)
# The registry changes rarely; each translator remembers names of its own.
_TRANSLATORS: Final[Remembered[frozenset[str], Translator]] = Remembered(
    lambda own: Translator(CompanyPrefixes(own, packaged_lengths)),
    8,
    1_000_000,
    lambda own: sum(map(len, own)),
)
