"""Checks of single EPCIS fields: each takes the value, its pointer from the record, and where to report.

They are the leaves of validation; which field belongs to which event is in `validation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .contexts import EffectiveContext, escape
from .findings import Findings
from .identifiers import Position, is_absolute_uri, read_name
from .times import parse_offset, parse_time
from .words import word_iri

Check = Callable[[Any, str, Findings, EffectiveContext], None]
"""(value, pointer from the record, findings, context in force)"""

_ALLOWED_KEYWORDS = frozenset({"@id", "@type", "@value", "@language"})
_UNIT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")


def check_time(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A dateTimeStamp with seconds and offset."""
    if type(value) is not str or parse_time(value) is None:
        found.refuse(where, "bad-time", "a time such as 2026-01-31T23:59:59.000+01:00", value)


def check_offset(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """An eventTimeZoneOffset."""
    if type(value) is not str or parse_offset(value) is None:
        found.refuse(where, "bad-offset", "an offset such as +01:00, 14:00 at most", value)


def check_uri(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """An absolute URI that is no thing (an event, a certificate, a method)."""
    if type(value) is not str or not is_absolute_uri(value):
        found.refuse(where, "not-a-uri", "an absolute URI", value)


def check_uris(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A list of absolute URIs."""
    if type(value) is not list:
        found.refuse(where, "wrong-type", "a list of URIs", value)
        return
    for index, item in enumerate(value):
        check_uri(item, f"{where}/{index}", found, context)


def check_uri_or_uris(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """One absolute URI or a list of them."""
    (check_uris if type(value) is list else check_uri)(value, where, found, context)


def check_thing(
    value: Any, where: str, found: Findings, context: EffectiveContext, *, position: Position
) -> None:
    """One identifier of a thing."""
    if type(value) is not str:
        found.refuse(where, "wrong-type", "an identifier as text", value)
        return
    problem = read_name(value, position)[1]
    if problem is not None:
        found.identifier(where, problem)


def check_things(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A list of EPCs."""
    if type(value) is not list:
        found.refuse(where, "wrong-type", "a list of identifiers", value)
        return
    for index, item in enumerate(value):
        if type(item) is not str or read_name(item, Position.EPC)[1] is not None:
            check_thing(item, f"{where}/{index}", found, context, position=Position.EPC)


def check_unique_things(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A list of EPCs without repetition."""
    check_things(value, where, found, context)
    if type(value) is not list or len(value) < 2:
        return
    texts = [item for item in value if type(item) is str]
    if len(set(texts)) != len(texts):
        seen: set[str] = set()
        for index, item in enumerate(value):
            if type(item) is str and item in seen:
                found.refuse(f"{where}/{index}", "duplicate-item", "each identifier once", item)
            elif type(item) is str:
                seen.add(item)


def check_word(value: Any, where: str, found: Findings, context: EffectiveContext, *, field: str) -> None:
    """A word of the standard's list for a field, or a URI."""
    if type(value) is not str or word_iri(field, value) is None:
        found.refuse(where, "unknown-word", f"a {field} of CBV 2.0 or an absolute URI", value)


def check_dispositions(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A persistentDisposition: set, unset or both, each a non-empty list."""
    if not _is_object(value, where, found, "set and unset"):
        return
    if not value:
        found.missing(where, "set or unset")
    for name, words in value.items():
        place = f"{where}/{escape(name)}"
        if name not in ("set", "unset"):
            found.refuse(place, "unknown-field", "set or unset", name)
        elif type(words) is not list or not words:
            found.refuse(place, "wrong-type", "a list of dispositions that is not empty", words)
        else:
            for index, word in enumerate(words):
                check_word(word, f"{place}/{index}", found, context, field="disposition")


def check_place(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A readPoint or bizLocation: an object with `id`, and extensions."""
    if type(value) is dict and len(value) == 1 and "id" in value:
        check_thing(value["id"], f"{where}/id", found, context, position=Position.PLACE)
        return
    check_members(value, where, found, context, fields=_PLACE, required=("id",))


def check_quantities(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A list of quantity elements."""
    if type(value) is not list:
        found.refuse(where, "wrong-type", "a list of quantities", value)
        return
    for index, item in enumerate(value):
        check_closed(item, f"{where}/{index}", found, context, fields=_QUANTITY, required=("epcClass",))
        if type(item) is dict and "uom" in item and "quantity" not in item:
            found.missing(f"{where}/{index}", "a quantity beside the uom")


def check_quantity(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """An amount: a JSON number that is not negative."""
    if type(value) is not int and type(value) is not float:
        found.refuse(where, "bad-quantity", "a number", value)
    elif value < 0:
        found.refuse(where, "bad-quantity", "a number that is not negative", value)


def check_unit(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A UN/ECE Recommendation 20 unit code by its form."""
    if type(value) is not str or not 2 <= len(value) <= 3 or not _UNIT.issuperset(value):
        found.refuse(where, "bad-unit", "a unit code of two or three capitals or digits, such as KGM", value)


def check_list_of(
    value: Any,
    where: str,
    found: Findings,
    context: EffectiveContext,
    *,
    fields: Mapping[str, Check],
    required: tuple[str, ...],
) -> None:
    """A list of objects that hold exactly the given fields (business transactions, sources)."""
    if type(value) is not list:
        found.refuse(where, "wrong-type", "a list of objects", value)
        return
    for index, item in enumerate(value):
        check_closed(item, f"{where}/{index}", found, context, fields=fields, required=required)


def check_closed(
    value: Any,
    where: str,
    found: Findings,
    context: EffectiveContext,
    *,
    fields: Mapping[str, Check],
    required: tuple[str, ...],
) -> None:
    """An object that holds the given fields and no extension."""
    if not _is_object(value, where, found, " and ".join(required)):
        return
    for name, inner in value.items():
        check = fields.get(name)
        if check is None:
            found.refuse(f"{where}/{escape(name)}", "unknown-field", f"one of {', '.join(fields)}", name)
        else:
            check(inner, f"{where}/{name}", found, context)
    for name in required:
        if name not in value:
            found.missing(where, name)


def check_members(
    value: Any,
    where: str,
    found: Findings,
    context: EffectiveContext,
    *,
    fields: Mapping[str, Check],
    required: tuple[str, ...] = (),
) -> None:
    """An object that holds the given fields, and extensions with a declared prefix."""
    if not _is_object(value, where, found, " and ".join(required) or "extensions"):
        return
    for name, inner in value.items():
        check = fields.get(name)
        if check is None:
            check_extension(name, inner, where, found, context, known=fields)
        else:
            check(inner, f"{where}/{name}", found, context)
    for name in required:
        if name not in value:
            found.missing(where, name)


def check_extension(
    name: str,
    value: Any,
    where: str,
    found: Findings,
    context: EffectiveContext,
    *,
    known: Mapping[str, Check],
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


def check_ilmd(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """Instance or lot master data: every name at its top has a declared prefix."""
    check_members(value, where, found, context, fields={})


def check_number(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A JSON number."""
    if type(value) is not int and type(value) is not float:
        found.refuse(where, "wrong-type", "a number", value)


def check_text(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A JSON string."""
    if type(value) is not str:
        found.refuse(where, "wrong-type", "text", value)


def check_boolean(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A JSON boolean."""
    if type(value) is not bool:
        found.refuse(where, "wrong-type", "true or false", value)


def check_hex(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """Hexadecimal digits."""
    if type(value) is not str or not value or not _HEX.issuperset(value):
        found.refuse(where, "wrong-type", "hexadecimal digits", value)


def _is_object(value: Any, where: str, found: Findings, what: str) -> bool:
    if type(value) is dict:
        return True
    found.refuse(where, "wrong-type", f"an object with {what}", value)
    return False


def thing_check(position: Position) -> Check:
    """The check of one identifier that stands in a given position."""
    return partial(check_thing, position=position)


def word_check(field: str) -> Check:
    """The check of one word of a field's list."""
    return partial(check_word, field=field)


_PLACE: dict[str, Check] = {"id": thing_check(Position.PLACE)}
_QUANTITY: dict[str, Check] = {
    "epcClass": thing_check(Position.EPC_CLASS),
    "quantity": check_quantity,
    "uom": check_unit,
}
