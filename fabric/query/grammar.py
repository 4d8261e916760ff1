"""The parameters of the query language, as a table: what each is called, and the condition that it builds.

`FIXED` are the parameters with a name of their own, in every spelling; `FAMILIES` are those whose name ends in a
field, a unit or a type, by what stands before it. docs/spec/query.md lists them; nothing else is a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fabric.epcis import Position, Role
from fabric.epcis.identifiers import BadIdentifier, is_absolute_uri, name_reader
from fabric.epcis.validation import ACTIONS, FIELDS
from fabric.epcis.words import word_reader, words_of

from . import conditions as c
from .body import (
    DESCRIBED,
    Described,
    FieldExists,
    FieldOrder,
    FieldTest,
    MemberExists,
    PersistentDispositions,
    Quantities,
    Section,
    SensorAmount,
    SensorMember,
)
from .comparison import (
    Compared,
    Equal,
    Measured,
    NumberTest,
    OneHex,
    OneOf,
    OneThing,
    OneWord,
    Op,
    Test,
    TimeTest,
    Truth,
)
from .errors import too_complex
from .names import FieldName, attribute_iri, expanded, field_name
from .pattern import parse_pattern
from .values import Given, decimal_of, instant_of, plain


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question is read under: its prefixes, and whether names with wrong check digits are kept as they are."""

    prefixes: Mapping[str, str]
    keep_bad_check_digits: bool = False


class Part(NamedTuple):
    """One side of a condition that several parameters make together, such as both ends of a time."""

    group: str
    side: str
    value: Any


Built = c.Condition | Part | None
"""What a parameter says; None where it asks for nothing."""
Builder = Callable[[Given, Scope], Built]
FamilyBuilder = Callable[[Given, Scope, str], Built]
Texts = Callable[[Given, Scope], frozenset[str]]


class Row(NamedTuple):
    """A parameter: `key` is its one name, whatever spelling was used."""

    key: str
    build: Builder


class Family(NamedTuple):
    """Parameters whose names end in something; `any_end` takes names without a colon as well."""

    key: str
    build: FamilyBuilder
    any_end: bool = True


MOST_PATTERNS: Final = 100
"""Patterns of one parameter, beside its names; a question with more is too complex."""
_LONGEST_NAME: Final = 2_048


def find(name: str) -> Row | None:
    """The parameter of a name; None for a name that is none."""
    row = FIXED.get(name)
    if row is not None or len(name) > _LONGEST_NAME:
        return row
    end = name.find(":")
    stem = name[:end] if end >= 0 else name
    # The longest beginning that is a family's: prefixes may have underscores of their own.
    while "_" in stem:
        stem = stem[: stem.rindex("_")]
        family = FAMILIES.get(f"{stem}_")
        rest = name[len(stem) + 1 :]
        if family is not None and rest and (family.any_end or ":" in rest):
            return Row(f"{family.key}{rest}", _ended(family.build, rest))
    return None


def _ended(build: FamilyBuilder, rest: str) -> Builder:
    return lambda given, scope: build(given, scope, rest)


_TYPES: Final = {
    f"{start}{name}": name for name in FIELDS for start in ("", "epcis:", "https://ref.gs1.org/epcis/")
}


def _event_types(given: Given, scope: Scope) -> Built:
    found = set()
    for text, inside in given.texts():
        name = _TYPES.get(text) or (text if is_absolute_uri(text) else None)
        if name is None:
            raise given.bad("unknown-event-type", f"one of {', '.join(FIELDS)}, or a URI", text, inside)
        found.add(name)
    return c.Types(frozenset(found), given.name)


def _actions(given: Given, scope: Scope) -> Built:
    texts = list(given.texts())
    for text, inside in texts:
        if text not in ACTIONS:
            raise given.bad("bad-action", ", ".join(ACTIONS), text, inside)
    return c.Actions(frozenset(text for text, _ in texts), given.name)


def _words(field: str) -> Texts:
    """Words of a field as IRIs. One of a caller's own is itself and, if its prefix is bound, what it stands for."""
    read = word_reader(field)

    def texts(given: Given, scope: Scope) -> frozenset[str]:
        found = set()
        for text, inside in given.texts():
            iri = read(text)
            if iri is None:
                expected = f"a {field} of CBV 2.0 ({', '.join(words_of(field))}) or an absolute URI"
                raise given.bad("unknown-word", expected, text, inside)
            found |= {iri, read(expanded(text, scope.prefixes)) or iri}
        return frozenset(found)

    return texts


def _names(position: Position) -> Texts:
    """Names of things, in any spelling, as canonical IRIs."""
    read = name_reader(position)

    def texts(given: Given, scope: Scope) -> frozenset[str]:
        found = set()
        for text, inside in given.texts():
            thing, problem = read(text)
            if problem is not None and not (
                scope.keep_bad_check_digits and problem.rule == "bad-check-digit"
            ):
                raise given.bad(problem.rule, problem.expected, problem.got, inside)
            found.add(thing.iri)
        return frozenset(found)

    return texts


def _uris(given: Given, scope: Scope) -> frozenset[str]:
    """URIs that are compared as they are."""
    found = set()
    for text, inside in given.texts():
        if not is_absolute_uri(text):
            raise given.bad("not-a-uri", "an absolute URI", text, inside)
        found.add(text)
    return frozenset(found)


def _any_texts(given: Given, scope: Scope) -> frozenset[str]:
    return frozenset(meant for text, _ in given.texts() for meant in given.meant(text))


def _hex(given: Given, scope: Scope) -> frozenset[str]:
    found = set()
    for text, inside in given.texts():
        if not set(text) <= _HEX_DIGITS:
            raise given.bad("bad-hex", "hexadecimal digits", text, inside)
        found.add(text.upper())
    return frozenset(found)


_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


def _typed(condition: Callable[..., c.Condition], texts: Texts) -> Builder:
    """A condition on a set of texts."""
    return lambda given, scope: condition(texts(given, scope), parameter=given.name)


def _place(field: str, descendants: bool) -> Builder:
    places = _names(Position.PLACE)
    return lambda given, scope: c.Place(field, places(given, scope), descendants, given.name)


def _body(predicate: Callable[[Given, Scope], c.Predicate]) -> Builder:
    return lambda given, scope: c.Body(predicate(given, scope), given.name)


def _persistent(part: str) -> Builder:
    words = _words("disposition")
    return _body(
        lambda given, scope: PersistentDispositions(part, OneWord("disposition", words(given, scope)))
    )


def _match(roles: frozenset[Role], by_class: bool, *fields: str) -> Builder:
    def build(given: Given, scope: Scope) -> Built:
        patterns = {}
        for text, inside in given.texts():
            try:
                patterns[text] = parse_pattern(text, by_class, scope.keep_bad_check_digits)
            except BadIdentifier as problem:
                raise given.bad(problem.rule, problem.expected, problem.got, inside) from None
        ordered = tuple(patterns[text] for text in sorted(patterns))
        count = sum(not one.exact for one in ordered)
        if count > MOST_PATTERNS:
            raise too_complex(given.name, "too-many-patterns", f"{MOST_PATTERNS} patterns at most", count)
        return c.Things(roles, by_class, ordered, fields, given.name)

    return build


def _side(group: str, op: Op) -> Builder:
    """One end of the time that an event has once."""
    return lambda given, scope: Part(group, op.value, given.time(op.rounds_up))


def _declaration(side: str, texts: Texts) -> Builder:
    return lambda given, scope: Part("errorDeclaration", side, texts(given, scope))


def _exists(predicate: c.Predicate) -> Builder:
    return lambda given, scope: c.Body(predicate, given.name) if given.flag() else None


def _sensed(name: str, test: Callable[[Given, Scope], Test], metadata: bool, reports: bool = True) -> Builder:
    return _body(lambda given, scope: SensorMember(name, metadata, reports, test(given, scope)))


def _sensed_texts(name: str, test: Callable[[frozenset[str]], Test], texts: Texts, metadata: bool) -> Builder:
    return _sensed(name, lambda given, scope: test(texts(given, scope)), metadata)


def _sensed_time(name: str, op: Op, reports: bool) -> Builder:
    return _sensed(name, lambda given, scope: TimeTest(op, given.time(op.rounds_up)), True, reports)


def _numbers(given: Given, op: Op) -> frozenset[Decimal]:
    return given.numbers() if op is Op.EQ else frozenset({given.number()})


def _perc_rank(op: Op) -> Builder:
    return _sensed("percRank", lambda given, scope: NumberTest(op, _numbers(given, op)), False)


def _quantity(op: Op) -> Builder:
    return _body(lambda given, scope: Quantities(NumberTest(op, _numbers(given, op))))


def _order(given: Given, scope: Scope) -> Built:
    text = given.text()
    if text in c.ORDERS:
        return Part("query", "orderBy", (text, None))
    if ":" not in text:
        raise given.bad("bad-order", f"{', '.join(c.ORDERS)} or an extension field as prefix:name", text)
    return Part("query", "orderBy", (text, FieldOrder(field_name(text, scope.prefixes, given.name))))


def _direction(given: Given, scope: Scope) -> Built:
    text = given.text()
    if text not in ("ASC", "DESC"):
        raise given.bad("bad-direction", "ASC or DESC", text)
    return Part("query", "orderDirection", text == "DESC")


def _count(side: str, least: int) -> Builder:
    return lambda given, scope: Part("query", side, given.count(least))


_OBJECTS: Final = frozenset({Role.OBJECT, Role.CHILD, Role.MENTION})
_PARENTS: Final = frozenset({Role.PARENT, Role.MENTION})
_INPUTS, _OUTPUTS = frozenset({Role.INPUT}), frozenset({Role.OUTPUT})
_ALL: Final = frozenset(Role)

_BUILDERS: Final[dict[str, Builder]] = {
    "eventType": _event_types,
    "GE_eventTime": _side("eventTime", Op.GE),
    "LT_eventTime": _side("eventTime", Op.LT),
    "GE_recordTime": _side("recordTime", Op.GE),
    "LT_recordTime": _side("recordTime", Op.LT),
    "EQ_action": _actions,
    "EQ_bizStep": _typed(c.Steps, _words("bizStep")),
    "EQ_disposition": _typed(c.Dispositions, _words("disposition")),
    "EQ_persistentDisposition_set": _persistent("set"),
    "EQ_persistentDisposition_unset": _persistent("unset"),
    "EQ_readPoint": _place("readPoint", descendants=False),
    "WD_readPoint": _place("readPoint", descendants=True),
    "EQ_bizLocation": _place("bizLocation", descendants=False),
    "WD_bizLocation": _place("bizLocation", descendants=True),
    "EQ_transformationID": _typed(c.TransformationIds, _names(Position.DOCUMENT)),
    "MATCH_epc": _match(_OBJECTS, False, "epcList", "childEPCs"),
    "MATCH_parentID": _match(_PARENTS, False, "parentID"),
    "MATCH_inputEPC": _match(_INPUTS, False, "inputEPCList"),
    "MATCH_outputEPC": _match(_OUTPUTS, False, "outputEPCList"),
    "MATCH_anyEPC": _match(_ALL, False, "epcList", "childEPCs", "parentID", "inputEPCList", "outputEPCList"),
    "MATCH_epcClass": _match(_OBJECTS, True, "quantityList", "childQuantityList"),
    "MATCH_inputEPCClass": _match(_INPUTS, True, "inputQuantityList"),
    "MATCH_outputEPCClass": _match(_OUTPUTS, True, "outputQuantityList"),
    "MATCH_anyEPCClass": _match(
        _ALL, True, "quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"
    ),
    **{f"{op}_quantity": _quantity(op) for op in Op},
    "EQ_eventID": _typed(c.EventIds, _uris),
    "EXISTS_errorDeclaration": lambda given, scope: (
        Part("errorDeclaration", "exists", True) if given.flag() else None
    ),
    "GE_errorDeclarationTime": _side("errorDeclaration", Op.GE),
    "LT_errorDeclarationTime": _side("errorDeclaration", Op.LT),
    "EQ_errorReason": _declaration("reasons", _words("errorReason")),
    "EQ_correctiveEventID": _declaration("correctives", _uris),
    "EXISTS_sensorElementList": _exists(MemberExists("sensorElementList")),
    "GE_time": _sensed_time("time", Op.GE, reports=True),
    "LT_time": _sensed_time("time", Op.LT, reports=True),
    "GE_startTime": _sensed_time("startTime", Op.GE, reports=False),
    "LT_startTime": _sensed_time("startTime", Op.LT, reports=False),
    "GE_endTime": _sensed_time("endTime", Op.GE, reports=False),
    "LT_endTime": _sensed_time("endTime", Op.LT, reports=False),
    "EQ_type": _sensed_texts(
        "type", lambda iris: OneWord("measurementType", iris), _words("measurementType"), False
    ),
    "EQ_deviceID": _sensed_texts(
        "deviceID", lambda iris: OneThing(Position.DEVICE, iris), _names(Position.DEVICE), True
    ),
    "EQ_dataProcessingMethod": _sensed_texts("dataProcessingMethod", OneOf, _uris, True),
    "EQ_bizRules": _sensed_texts("bizRules", OneOf, _uris, True),
    "EQ_microorganism": _sensed_texts("microorganism", OneOf, _uris, False),
    "EQ_chemicalSubstance": _sensed_texts("chemicalSubstance", OneOf, _uris, False),
    "EQ_uriValue": _sensed_texts("uriValue", OneOf, _uris, False),
    "EQ_stringValue": _sensed_texts("stringValue", OneOf, _any_texts, False),
    "EQ_hexBinaryValue": _sensed_texts("hexBinaryValue", OneHex, _hex, False),
    "EQ_booleanValue": _sensed("booleanValue", lambda given, scope: Truth(given.truth()), False),
    **{f"{op}_percRank": _perc_rank(op) for op in Op},
    "orderBy": _order,
    "orderDirection": _direction,
    "eventCountLimit": _count("eventCountLimit", 1),
    "maxEventCount": _count("maxEventCount", 0),
}

_SPELLINGS: Final = {
    "GE_errorDeclaration_Time": "GE_errorDeclarationTime",
    "LT_errorDeclaration_Time": "LT_errorDeclarationTime",
}
"""Where the standard's artefacts disagree on a name: the other one."""

FIXED: Final[dict[str, Row]] = {name: Row(name, build) for name, build in _BUILDERS.items()} | {
    other: Row(name, _BUILDERS[name]) for other, name in _SPELLINGS.items()
}
"""The parameters with a name of their own."""


def _amount(name: str, op: Op, difference: bool) -> FamilyBuilder:
    def build(given: Given, scope: Scope, uom: str) -> Built:
        measured = Measured(op, _uom(given, uom), _numbers(given, op), difference)
        return c.Body(
            Quantities(measured) if name == "quantity" else SensorAmount(name, measured), given.name
        )

    return build


def _uom(given: Given, uom: str) -> str:
    if not (2 <= len(uom) <= 4 and uom.isascii() and uom.isalnum() and uom.upper() == uom):
        expected = "a unit of UN/ECE Recommendation 20, two to four capitals or digits such as CEL"
        raise given.bad("bad-unit", expected, uom)
    return uom


def _of_type(condition: Callable[..., c.Condition], field: str, position: Position) -> FamilyBuilder:
    """Names of one type, which the parameter's own name ends in."""
    read, names = word_reader(field), _names(position)

    def build(given: Given, scope: Scope, kind: str) -> Built:
        iri = read(kind)
        if iri is None:
            expected = f"a {field} of CBV 2.0 ({', '.join(words_of(field))}) or an absolute URI"
            raise given.bad("unknown-word", expected, kind)
        kinds = frozenset({iri, read(expanded(kind, scope.prefixes)) or iri})
        return condition(kinds, names(given, scope), given.name)

    return build


def _field_test(section: Section, inner: bool, op: Op) -> FamilyBuilder:
    def build(given: Given, scope: Scope, written: str) -> Built:
        name = field_name(written, scope.prefixes, given.name)
        return c.Body(FieldTest(section, inner, name, _extension_test(given, op)), given.name)

    return build


def _extension_test(given: Given, op: Op) -> Test:
    if op is not Op.EQ:
        return Compared(op, *given.number_or_time(op.rounds_up))
    values = [value for value, _ in given.several()]
    texts = frozenset(meant for value in values for meant in given.meant(_as_text(value)))
    numbers = {value if isinstance(value, Decimal) else decimal_of(_as_text(value)) for value in values}
    times = {instant_of(text) for text in texts}
    return Equal(texts, frozenset(numbers - {None}), frozenset(times - {None}))  # type: ignore[arg-type]


def _as_text(value: str | Decimal | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, Decimal) else value


def _field_exists(section: Section, inner: bool) -> FamilyBuilder:
    def build(given: Given, scope: Scope, written: str) -> Built:
        name = field_name(written, scope.prefixes, given.name)
        return c.Body(FieldExists(section, inner, name), given.name) if given.flag() else None

    return build


def _described_field(given: Given, scope: Scope, written: str) -> str | FieldName:
    if written in DESCRIBED:
        return written
    if ":" not in written:
        expected = f"one of {', '.join(DESCRIBED)}, or an extension field as prefix:name"
        raise given.bad("bad-field-name", expected, written)
    return field_name(written, scope.prefixes, given.name)


def _has_attribute(given: Given, scope: Scope, written: str) -> Built:
    field = _described_field(given, scope, written)
    names = frozenset(attribute_iri(text, scope.prefixes) for text, _ in given.texts())
    return c.Body(Described(field, names), given.name)


def _attribute(given: Given, scope: Scope, written: str) -> Built:
    """A field and an attribute of what it names, with an underscore between them; both may have more of these."""
    field, name = _split(written, scope)
    if not (field and name):
        raise given.bad("bad-field-name", "a field and an attribute, as field_attribute", written)
    attributes = frozenset({attribute_iri(name, scope.prefixes)})
    texts = frozenset(meant for item in given.several() for meant in given.meant(_as_text(item.value)))
    return c.Body(Described(_described_field(given, scope, field), attributes, texts), given.name)


def _split(written: str, scope: Scope) -> tuple[str, str]:
    for field in DESCRIBED:
        if written.startswith(f"{field}_"):
            return field, written[len(field) + 1 :]
    places = [index for index, letter in enumerate(written) if letter == "_"]
    for index in places:
        name = written[index + 1 :]
        if ":" in name and ":" in written[:index] and _is_whole(name, scope):
            return written[:index], name
    field, _, name = written.rpartition("_")
    return field, name


def _is_whole(name: str, scope: Scope) -> bool:
    """Whether a name needs no more in front of it: its prefix is bound, or it is an IRI."""
    prefix = name.partition(":")[0]
    return expanded(name, scope.prefixes) != name or prefix in ("urn", "http", "https")


def _sections() -> Mapping[str, tuple[Section, bool]]:
    """What may stand before an extension field, and the section, nested or not, that it means."""
    found: dict[str, tuple[Section, bool]] = {"": (Section.EVENT, False), "INNER_": (Section.EVENT, True)}
    for section in Section:
        if section:
            found[f"{section}_"] = section, False
            found[f"INNER_{section}_"] = found[f"{section}_INNER_"] = section, True
    return found


def _extension_families() -> dict[str, Family]:
    found = {}
    for start, (section, inner) in _sections().items():
        key = f"{'INNER_' if inner else ''}{section}{'_' if section else ''}"
        for op in Op:
            found[f"{op}_{start}"] = Family(f"{op}_{key}", _field_test(section, inner, op), bool(start))
        found[f"EXISTS_{start}"] = Family(f"EXISTS_{key}", _field_exists(section, inner), bool(start))
    return found


_AMOUNTS: Final = ("quantity", "value", "minValue", "maxValue", "meanValue", "sDev", "percValue")

FAMILIES: Final[dict[str, Family]] = {
    **_extension_families(),
    **{
        f"{op}_{name}_": Family(f"{op}_{name}_", _amount(name, op, difference=name == "sDev"))
        for name in _AMOUNTS
        for op in Op
    },
    "EQ_bizTransaction_": Family(
        "EQ_bizTransaction_", _of_type(c.Transactions, "bizTransactionType", Position.DOCUMENT)
    ),
    "EQ_source_": Family("EQ_source_", _of_type(c.Sources, "sourceOrDestinationType", Position.PARTY)),
    "EQ_destination_": Family(
        "EQ_destination_", _of_type(c.Destinations, "sourceOrDestinationType", Position.PARTY)
    ),
    "HASATTR_": Family("HASATTR_", _has_attribute),
    "EQATTR_": Family("EQATTR_", _attribute),
    "EQ_ATTR_": Family("EQATTR_", _attribute),
}
"""The parameters whose names end in a field, a unit or a type, by what stands before it."""
