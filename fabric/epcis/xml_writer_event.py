"""Events as elements of EPCIS 2.0 XML, in the order of its schema: the inverse of `xml_event`.

What the schema has no place for is refused by pointer (`no-xml-form`), so that nothing is lost without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from .words import bare_word, word_iri, words_of
from .xml_writer_extension import Writer, write_extensions
from .xml_writer_text import NoXMLForm, are_bare, attribute, decimal, number, trimmed

ALWAYS_URN: Final = "Always_URN"
ALWAYS_WEB_URI: Final = "Always_Web_URI"
"""Two values of the header GS1-CBV-XML-Format; any other keeps a URI as it was sent and makes a bare word a URN."""

Write = Callable[[Writer, str, Any], None]
"""Write one member of an event by its name and value."""

_URNS = {
    "bizStep": "urn:epcglobal:cbv:bizstep:",
    "disposition": "urn:epcglobal:cbv:disp:",
    "bizTransactionType": "urn:epcglobal:cbv:btt:",
    "sourceOrDestinationType": "urn:epcglobal:cbv:sdt:",
    "errorReason": "urn:epcglobal:cbv:er:",
    "component": "urn:epcglobal:cbv:comp:",
    # The words of the GS1 Web Vocabulary have no URNs.
    "measurementType": "https://gs1.org/voc/",
    "exception": "https://gs1.org/voc/",
}
_LONGEST_REMEMBERED: Final = 256
_WORDS = {field: frozenset(words_of(field)) for field in _URNS}


def write_event(event: Mapping[str, Any], writer: Writer) -> str:
    """The element of an event, with those namespaces that `writer.declared` does not have. Raises NoXMLForm."""
    writer.begin()
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _ORDER:
        raise NoXMLForm(f"one of {', '.join(_ORDER)}", "another", "/type")
    known = 1
    for name, write in _ORDER[kind]:
        if name in event:
            known += 1
            try:
                write(writer, name, event[name])
            except NoXMLForm as error:
                raise error.below(name) from None
    if len(event) > known:
        write_extensions(writer, event, _NAMES[kind])
    # The rest of a list whose first item stands in the order of the schema.
    if type(event.get("certificationInfo")) is list:
        _more_certified(writer, event["certificationInfo"])
    return f"<{kind}{writer.needed()}>{''.join(writer.out)}</{kind}>"


def spelled(field: str, word: str, cbv: str) -> str:
    """A word of the standard as a URI, as XML carries it; any other text as it is."""
    return _spelled_once(field, word, cbv) if len(word) <= _LONGEST_REMEMBERED else word


@lru_cache(maxsize=4_096)
def _spelled_once(field: str, word: str, cbv: str) -> str:
    bare = bare_word(field, word)
    if bare not in _WORDS[field]:
        return word
    if cbv == ALWAYS_WEB_URI:
        return str(word_iri(field, bare))
    return word if ":" in word and cbv != ALWAYS_URN else _URNS[field] + bare


def _text(w: Writer, name: str, value: Any) -> None:
    w.out.append(f"<{name}>{trimmed(value)}</{name}>")


def _word(field: str) -> Write:
    def write(w: Writer, name: str, value: Any) -> None:
        w.out.append(f"<{name}>{trimmed(spelled(field, value, w.cbv))}</{name}>")

    return write


def _each(items: Any, write: Callable[[Any], None]) -> None:
    if type(items) is not list:
        raise NoXMLForm("a list", type(items).__name__)
    for index, item in enumerate(items):
        try:
            write(item)
        except NoXMLForm as error:
            raise error.below(index) from None


def _list_of(item: str, *, may_be_empty: bool = False) -> Write:
    """A list of texts; empty ones, which say nothing, only where the schema has them."""

    between = f"</{item}><{item}>"

    def write(w: Writer, name: str, value: Any) -> None:
        if not value and not may_be_empty:
            return
        if value and type(value) is list and are_bare(value):
            w.out.append(f"<{name}><{item}>{between.join(value)}</{item}></{name}>")
            return
        w.out.append(f"<{name}>")
        _each(value, lambda one: w.out.append(f"<{item}>{trimmed(one)}</{item}>"))
        w.out.append(f"</{name}>")

    return write


def _closed(value: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in value:
        if name not in known:
            raise NoXMLForm(f"one of {', '.join(known)}", "another", "/" + name)


_QUANTITY = ("epcClass", "quantity", "uom")


def _quantities(w: Writer, name: str, value: Any) -> None:
    out = w.out

    def element(one: Mapping[str, Any]) -> None:
        _closed(one, _QUANTITY)
        out.append("<quantityElement>")
        if "epcClass" in one:
            out.append(f"<epcClass>{trimmed(one['epcClass'])}</epcClass>")
        if "quantity" in one:
            out.append(f"<quantity>{_at('quantity', decimal, one['quantity'])}</quantity>")
        if "uom" in one:
            out.append(f"<uom>{_at('uom', trimmed, one['uom'])}</uom>")
        out.append("</quantityElement>")

    out.append(f"<{name}>")
    _each(value, element)
    out.append(f"</{name}>")


def _at(name: str, write: Callable[[Any], str], value: Any) -> str:
    try:
        return write(value)
    except NoXMLForm as error:
        raise error.below(name) from None


def _typed(item: str, field: str) -> Write:
    """A list of elements with a type and text, such as business transactions."""

    def write(w: Writer, name: str, value: Any) -> None:
        def element(one: Mapping[str, Any]) -> None:
            _closed(one, ("type", item))
            kind = f" type={attribute(spelled(field, one['type'], w.cbv))}" if "type" in one else ""
            w.out.append(f"<{item}{kind}>{_at(item, trimmed, one.get(item, ''))}</{item}>")

        if value:
            w.out.append(f"<{name}>")
            _each(value, element)
            w.out.append(f"</{name}>")

    return write


def _place(w: Writer, name: str, value: Any) -> None:
    w.out.append(f"<{name}>")
    if "id" in value:
        w.out.append(f"<id>{_at('id', trimmed, value['id'])}</id>")
    if len(value) > 1 or "id" not in value:
        write_extensions(w, value, ("id",))
    w.out.append(f"</{name}>")


def _open(w: Writer, name: str, value: Any) -> None:
    w.out.append(f"<{name}>")
    write_extensions(w, value, ())
    w.out.append(f"</{name}>")


_DECLARATION = ("declarationTime", "reason", "correctiveEventIDs")


def _declaration(w: Writer, name: str, value: Any) -> None:
    w.out.append(f"<{name}>")
    for inner, write in zip(
        _DECLARATION,
        (_text, _word("errorReason"), _list_of("correctiveEventID", may_be_empty=True)),
        strict=True,
    ):
        if inner in value:
            try:
                write(w, inner, value[inner])
            except NoXMLForm as error:
                raise error.below(inner) from None
    write_extensions(w, value, _DECLARATION)
    w.out.append(f"</{name}>")


def _dispositions(w: Writer, name: str, value: Any) -> None:
    _closed(value, ("unset", "set"))
    w.out.append(f"<{name}>")
    for inner in ("unset", "set"):
        for word in value.get(inner, ()):
            w.out.append(f"<{inner}>{trimmed(spelled('disposition', word, w.cbv))}</{inner}>")
    w.out.append(f"</{name}>")


def _certified(w: Writer, name: str, value: Any) -> None:
    if type(value) is not list:
        _text(w, name, value)
    elif value:
        w.out.append(f"<{name}>{trimmed(value[0])}</{name}>")


def _more_certified(w: Writer, items: list[Any]) -> None:
    """The schema has one element: the rest follow among the extensions, an empty one after a list of one."""
    if items:
        mark = w.use(w.names.mark)
        for item in items[1:] or [""]:
            w.out.append(f"<{mark}:certificationInfo>{trimmed(item)}</{mark}:certificationInfo>")


def _sensors(w: Writer, name: str, value: Any) -> None:
    if value:
        w.out.append(f"<{name}>")
        _each(value, lambda one: _sensor_element(w, one))
        w.out.append(f"</{name}>")


def _sensor_element(w: Writer, value: Mapping[str, Any]) -> None:
    left: list[tuple[_Steps, dict[str, Any]]] = []
    w.out.append("<sensorElement>")
    for steps, one in _sensed(value):
        try:
            rest = _attributes(w, steps[0], one, _METADATA if steps[1] is None else _REPORT)
        except NoXMLForm as error:
            raise _at_steps(error, steps) from None
        if rest:
            left.append((steps, rest))
    if len(value) > ("sensorMetadata" in value) + ("sensorReport" in value):
        write_extensions(w, value, ("sensorMetadata", "sensorReport"))
    for steps, rest in left:
        try:
            _more_sensed(w, steps, rest)
        except NoXMLForm as error:
            raise _at_steps(error, steps) from None
    w.out.append("</sensorElement>")


_Steps = tuple[str, int | None]


def _sensed(value: Mapping[str, Any]) -> Iterator[tuple[_Steps, Mapping[str, Any]]]:
    """The metadata and the reports of a sensor element, and where they are in it."""
    if "sensorMetadata" in value:
        yield ("sensorMetadata", None), value["sensorMetadata"]
    for at, report in enumerate(value.get("sensorReport", ())):
        yield ("sensorReport", at), report


def _at_steps(error: NoXMLForm, steps: _Steps) -> NoXMLForm:
    name, at = steps
    return (error if at is None else error.below(at)).below(name)


def _more_sensed(w: Writer, steps: _Steps, rest: Mapping[str, Any]) -> None:
    """Members that no attribute can be: elements among the extensions, which say what they belong to."""
    name, at = steps
    mark = w.use(w.names.mark)
    w.out.append(f"<{mark}:{name}>" if at is None else f'<{mark}:{name} {mark}:at="{at}">')
    write_extensions(w, rest, ())
    w.out.append(f"</{mark}:{name}>")


def _attributes(
    w: Writer, element: str, value: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """An element that has attributes alone; the members that it could not have."""
    kinds: list[str] = []
    rest: dict[str, Any] = {}
    w.out.append("<" + element)
    for name, inner in value.items():
        read = known.get(name)
        try:
            if read is not None:
                w.out.append(f" {name}={read(inner, w.cbv)}")
            elif type(inner) is dict or type(inner) is list or not w.names.has_attribute(name):
                rest[name] = inner
            else:
                w.out.append(_extension_attribute(w, name, inner, kinds))
        except NoXMLForm as error:
            raise error.below(name) from None
    if kinds:
        w.out.append(f' {w.use(w.names.mark)}:types="{" ".join(kinds)}"')
    w.out.append("/>")
    return rest


def _extension_attribute(w: Writer, name: str, value: Any, kinds: list[str]) -> str:
    w.use(name.partition(":")[0])
    if type(value) is str:
        return f" {name}={attribute(value)}"
    if type(value) is bool:
        written, kind = ("true" if value else "false"), "boolean"
    elif value is None:
        written, kind = "", "null"
    else:
        written, kind = number(value), "number"
    kinds.append(f"{name}={kind}")
    return f' {name}="{written}"'


_Value = Callable[[Any, str], str]


def _plain(value: Any, cbv: str) -> str:
    trimmed(value)
    return attribute(value)


def _kept(value: Any, cbv: str) -> str:
    if type(value) is not str:
        raise NoXMLForm("text", type(value).__name__)
    return attribute(value)


def _boolean(value: Any, cbv: str) -> str:
    return '"true"' if value else '"false"'


def _number(value: Any, cbv: str) -> str:
    return f'"{number(value)}"'


def _spelled(field: str) -> _Value:
    return lambda value, cbv: _plain(spelled(field, value, cbv), cbv)


_SENSED: dict[str, _Value] = dict.fromkeys(
    ("time", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"), _plain
)
_METADATA: dict[str, _Value] = {**_SENSED, "startTime": _plain, "endTime": _plain}
_REPORT: dict[str, _Value] = {
    **_SENSED,
    "type": _spelled("measurementType"),
    "exception": _spelled("exception"),
    "component": _spelled("component"),
    "booleanValue": _boolean,
    "stringValue": _kept,
    **dict.fromkeys(
        (
            "microorganism",
            "chemicalSubstance",
            "coordinateReferenceSystem",
            "uriValue",
            "uom",
            "hexBinaryValue",
        ),
        _plain,
    ),
    **dict.fromkeys(("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue"), _number),
}

_EPCS = _list_of("epc", may_be_empty=True)
_BEFORE: tuple[tuple[str, Write], ...] = (
    ("eventTime", _text),
    ("recordTime", _text),
    ("eventTimeZoneOffset", _text),
    ("eventID", _text),
    ("errorDeclaration", _declaration),
    ("certificationInfo", _certified),
)
_STEP: tuple[tuple[str, Write], ...] = (
    ("bizStep", _word("bizStep")),
    ("disposition", _word("disposition")),
    ("readPoint", _place),
    ("bizLocation", _place),
)
_ACTION: tuple[tuple[str, Write], ...] = (("action", _text),)
_TRANSACTIONS: tuple[tuple[str, Write], ...] = (
    ("bizTransactionList", _typed("bizTransaction", "bizTransactionType")),
)
_AFTER: tuple[tuple[str, Write], ...] = (
    ("sourceList", _typed("source", "sourceOrDestinationType")),
    ("destinationList", _typed("destination", "sourceOrDestinationType")),
    ("sensorElementList", _sensors),
    ("persistentDisposition", _dispositions),
)
_ILMD: tuple[tuple[str, Write], ...] = (("ilmd", _open),)


def _epcs(name: str) -> tuple[tuple[str, Write], ...]:
    return ((name, _EPCS),)


def _classes(name: str) -> tuple[tuple[str, Write], ...]:
    return ((name, _quantities),)


_PARENT: tuple[tuple[str, Write], ...] = (("parentID", _text),)
_ORDER: dict[str, tuple[tuple[str, Write], ...]] = {
    "ObjectEvent": (
        *_BEFORE,
        *_epcs("epcList"),
        *_ACTION,
        *_STEP,
        *_TRANSACTIONS,
        *_classes("quantityList"),
        *_AFTER,
        *_ILMD,
    ),
    "AggregationEvent": (
        *_BEFORE,
        *_PARENT,
        *_epcs("childEPCs"),
        *_ACTION,
        *_STEP,
        *_TRANSACTIONS,
        *_classes("childQuantityList"),
        *_AFTER,
    ),
    "AssociationEvent": (
        *_BEFORE,
        *_PARENT,
        *_epcs("childEPCs"),
        *_classes("childQuantityList"),
        *_ACTION,
        *_STEP,
        *_TRANSACTIONS,
        *_AFTER,
    ),
    "TransactionEvent": (
        *_BEFORE,
        *_TRANSACTIONS,
        *_PARENT,
        *_epcs("epcList"),
        *_ACTION,
        *_STEP,
        *_classes("quantityList"),
        *_AFTER,
    ),
    "TransformationEvent": (
        *_BEFORE,
        *_epcs("inputEPCList"),
        *_classes("inputQuantityList"),
        *_epcs("outputEPCList"),
        *_classes("outputQuantityList"),
        ("transformationID", _text),
        *_STEP,
        *_TRANSACTIONS,
        *_AFTER,
        *_ILMD,
    ),
}
_NAMES = {kind: frozenset([name for name, _ in order]) | {"type"} for kind, order in _ORDER.items()}
