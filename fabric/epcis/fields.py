"""Checks of single EPCIS fields: the leaves of validation; which field belongs where is in `validation`.

A `Field` answers twice. `accepts` says quickly that a value is good, and builds nothing; only where it says
no does `check` walk the value again and report each finding with its pointer. Good documents pay for the
first alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .contexts import EffectiveContext, escape
from .findings import Findings
from .identifiers import TOO_LONG, Position, is_absolute_uri, is_too_long, name_reader
from .times import parse_offset, parse_time
from .words import word_reader

Accepts = Callable[[Any], bool]
Check = Callable[[Any, str, Findings, EffectiveContext], None]
"""(value, pointer from the record, findings, context in force)"""


def _accepts_nothing(value: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is checked. `accepts` may say no to good values, never yes to bad ones."""

    check: Check
    accepts: Accepts = _accepts_nothing


Fields = Mapping[str, Field]


def leaf(accepts: Accepts, rule: str, expected: str) -> Field:
    """A field whose value is good or not as a whole."""

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        if not accepts(value):
            found.refuse(where, rule, expected, value)

    return Field(check, accepts)


def thing_field(position: Position) -> Field:
    """One identifier of a thing."""
    read = name_reader(position)

    def accepts(value: Any) -> bool:
        return type(value) is str and read(value)[1] is None

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        if type(value) is not str:
            found.refuse(where, "wrong-type", "an identifier as text", value)
            return
        problem = read(value)[1]
        if problem is not None:
            found.identifier(where, problem)

    return Field(check, accepts)


def word_field(name: str) -> Field:
    """A word of the standard's list for a field, or a URI."""
    read = word_reader(name)

    def accepts(value: Any) -> bool:
        return type(value) is str and read(value) is not None

    return _short(leaf(accepts, "unknown-word", f"a {name} of CBV 2.0 or an absolute URI"))


def _short(field: Field) -> Field:
    """A text that an index is made of, so that its length has a limit."""

    def accepts(value: Any) -> bool:
        return field.accepts(value) and not is_too_long(value)

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        field.check(value, where, found, context)
        if type(value) is str and is_too_long(value):
            found.refuse(where, "too-long", TOO_LONG, value)

    return Field(check, accepts)


def list_field(item: Field, *, unique: bool = False, filled: bool = False) -> Field:
    """A list whose items are one field each; `unique` for no text twice, `filled` for at least one."""
    accepts_item, check_item = item.accepts, item.check

    def accepts(value: Any) -> bool:
        if type(value) is not list or (filled and not value):
            return False
        for inner in value:
            if not accepts_item(inner):
                return False
        return not unique or len(value) < 2 or len(set(value)) == len(value)

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        if type(value) is not list or (filled and not value):
            found.refuse(where, "wrong-type", "a list that is not empty" if filled else "a list", value)
            return
        for index, inner in enumerate(value):
            check_item(inner, f"{where}/{index}", found, context)
        if unique:
            _check_unique(value, where, found)

    return Field(check, accepts)


def _check_unique(value: list[Any], where: str, found: Findings) -> None:
    seen: set[str] = set()
    for index, item in enumerate(value):
        if type(item) is str and item in seen:
            found.refuse(f"{where}/{index}", "duplicate-item", "each item once", item)
        elif type(item) is str:
            seen.add(item)


def object_field(fields: Fields, required: tuple[str, ...], needs: tuple[str, str] | None = None) -> Field:
    """An object that holds the given fields and no extension; `needs` = (a, b): b stands only beside a."""
    what = f"an object with {' and '.join(required)}"

    def accepts(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, inner in value.items():
            field = fields.get(name)
            if field is None or not field.accepts(inner):
                return False
        for name in required:
            if name not in value:
                return False
        return needs is None or needs[1] not in value or needs[0] in value

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        if type(value) is not dict:
            found.refuse(where, "wrong-type", what, value)
            return
        for name, inner in value.items():
            field = fields.get(name)
            if field is None:
                found.refuse(f"{where}/{escape(name)}", "unknown-field", f"one of {', '.join(fields)}", name)
            else:
                field.check(inner, f"{where}/{name}", found, context)
        for name in required:
            if name not in value:
                found.missing(where, name)
        if needs is not None and needs[1] in value and needs[0] not in value:
            found.missing(where, f"a {needs[0]} beside the {needs[1]}")

    return Field(check, accepts)


def open_object_field(fields: Fields, required: tuple[str, ...] = ()) -> Field:
    """An object that holds the given fields, and extensions with a declared prefix."""
    what = f"an object with {' and '.join(required) or 'extensions'}"

    def accepts(value: Any) -> bool:
        # Extensions need the context, so their declaration is left to the full check.
        if type(value) is not dict:
            return False
        for name, inner in value.items():
            field = fields.get(name)
            if field is None or not field.accepts(inner):
                return False
        return all(name in value for name in required)

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        if type(value) is not dict:
            found.refuse(where, "wrong-type", what, value)
            return
        for name, inner in value.items():
            field = fields.get(name)
            if field is None:
                check_extension(name, inner, where, found, context, known=fields)
            elif not field.accepts(inner):
                field.check(inner, f"{where}/{name}", found, context)
        for name in required:
            if name not in value:
                found.missing(where, name)

    return Field(check, accepts)


def check_extension(
    name: str, value: Any, where: str, found: Findings, context: EffectiveContext, *, known: Fields
) -> None:
    """A member that is no field of EPCIS: it needs a declared prefix, and so do prefixed names inside it."""
    if ":" not in name:
        expected = f"one of {', '.join(known)}, or a name with a prefix" if known else "a name with a prefix"
        found.refuse(f"{where}/{escape(name)}", "unknown-field", expected, name)
        return
    if not context.is_declared(name):
        _undeclared(name, f"{where}/{escape(name)}", found)
    if type(value) is dict or type(value) is list:
        _check_inside(value, f"{where}/{escape(name)}", found, context)


def _check_inside(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    if type(value) is list:
        for index, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                _check_inside(item, f"{where}/{index}", found, context)
        return
    for name, inner in value.items():
        if name.startswith("@"):
            if name not in _ALLOWED_KEYWORDS:
                found.refuse(f"{where}/{escape(name)}", "context-keyword", "no JSON-LD keyword here", name)
        elif ":" in name and not context.is_declared(name):
            _undeclared(name, f"{where}/{escape(name)}", found)
        if type(inner) is dict or type(inner) is list:
            _check_inside(inner, f"{where}/{escape(name)}", found, context)


def _undeclared(name: str, where: str, found: Findings) -> None:
    prefix = name.partition(":")[0]
    found.refuse(where, "undeclared-prefix", "a prefix declared in @context", prefix)


def either_field(one: Field, several: Field) -> Field:
    """One value, or a list of them."""

    def check(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
        (several if type(value) is list else one).check(value, where, found, context)

    def accepts(value: Any) -> bool:
        return (several if type(value) is list else one).accepts(value)

    return Field(check, accepts)


def _is_time(value: Any) -> bool:
    return type(value) is str and parse_time(value) is not None


def _is_offset(value: Any) -> bool:
    return type(value) is str and parse_offset(value) is not None


def _is_uri(value: Any) -> bool:
    return type(value) is str and is_absolute_uri(value)


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _is_amount(value: Any) -> bool:
    return (type(value) is int or type(value) is float) and value >= 0


def _is_unit(value: Any) -> bool:
    return type(value) is str and 2 <= len(value) <= 3 and _UNIT.issuperset(value)


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_hex(value: Any) -> bool:
    return type(value) is str and bool(value) and _HEX.issuperset(value)


_ALLOWED_KEYWORDS = frozenset({"@id", "@type", "@value", "@language"})
_UNIT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")

TIME = leaf(_is_time, "bad-time", "a time such as 2026-01-31T23:59:59.000+01:00")
OFFSET = leaf(_is_offset, "bad-offset", "an offset such as +01:00, 14:00 at most")
URI = leaf(_is_uri, "not-a-uri", "an absolute URI")
URIS = list_field(URI)
EVENT_ID = _short(URI)
URI_OR_URIS = either_field(URI, URIS)
NUMBER = leaf(_is_number, "wrong-type", "a number")
TEXT = leaf(_is_text, "wrong-type", "text")
BOOLEAN = leaf(_is_boolean, "wrong-type", "true or false")
HEX = leaf(_is_hex, "wrong-type", "hexadecimal digits")
EPC = thing_field(Position.EPC)
EPCS = list_field(EPC)
UNIQUE_EPCS = list_field(EPC, unique=True)
PLACE = open_object_field({"id": thing_field(Position.PLACE)}, ("id",))
QUANTITIES = list_field(
    object_field(
        {
            "epcClass": thing_field(Position.EPC_CLASS),
            "quantity": leaf(_is_amount, "bad-quantity", "a number that is not negative"),
            "uom": leaf(_is_unit, "bad-unit", "a unit code of two or three capitals or digits, such as KGM"),
        },
        ("epcClass",),
        needs=("quantity", "uom"),
    )
)
ILMD = open_object_field({})
