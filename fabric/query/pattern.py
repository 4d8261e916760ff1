"""Names and patterns of MATCH_ parameters, as ranges and tests of canonical IRIs (EPCIS 2.0 section 8.2.7.1.1).

A name in any spelling matches the thing it names. A pure identity pattern (`urn:epc:idpat:`, Tag Data Standard
section 8) leaves out components from the right; it matches every name that agrees in those it gives. How many
digits a company prefix has is not in a canonical IRI, so digits are compared, not where the dots were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from fabric.epcis.gs1 import QUALIFIERS, ROOT, check_digit, encode, is_decimal
from fabric.epcis.identifiers import BadIdentifier, Position, name_reader
from ontology import read_table

_PATTERN: Final = "urn:epc:idpat:"
_ID: Final = "urn:epc:id:"
_CLASS: Final = "urn:epc:class:"
_STAR: Final = "*"
_PREFIX_DIGITS: Final = range(6, 13)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one value of a MATCH_ parameter asks for.

    `iri` is the one thing that it names; of a pattern it is None, `starts` are beginnings and `expression` is a
    regular expression of the canonical IRIs that it matches.
    """

    text: str
    iri: str | None
    starts: tuple[str, ...] = ()
    expression: str = ""
    _matches: Callable[[str], object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        test = self.iri.__eq__ if self.iri is not None else re.compile(self.expression, re.DOTALL).fullmatch
        object.__setattr__(self, "_matches", test)

    @property
    def exact(self) -> bool:
        """Whether it is the name of one thing, which is then its only prefix."""
        return self.iri is not None

    def matches(self, iri: str) -> bool:
        """Whether a canonical IRI is asked for."""
        return bool(self._matches(iri))

    def prefixes(self) -> tuple[str, ...] | None:
        """Beginnings of every canonical IRI that it matches; for an exact one the IRI. None would be any."""
        return (self.iri,) if self.iri is not None else self.starts


class _Scheme(NamedTuple):
    """A scheme of EPC URNs: `count` components, and which key it is a spelling of, if of any."""

    space: str
    components: int
    key: str | None = None
    shape: str = ""
    extra: str = ""
    length: int = 0
    zero: str = ""
    qualifier: str = ""
    names_class: bool = False


def _scheme(space: str, row: dict[str, Any]) -> _Scheme:
    shape, _, extra = row["shape"].partition("+")
    return _Scheme(
        space=space,
        components=2 + bool(extra) + 2 * (shape == "pieces"),
        key=row["key"],
        shape=shape,
        extra=extra,
        length=row.get("length", 0),
        zero="0" if row.get("zero") else "",
        qualifier=row.get("qualifier", ""),
        names_class=row.get("pattern", False),
    )


_TABLE = read_table("gs1/schemes.toml")
_SCHEMES: Final = {
    name: _scheme(space, row)
    for space, rows in ((_ID, _TABLE["id"]), (_CLASS, _TABLE["class"]))
    for name, row in rows.items()
} | {
    # No GS1 keys: their names stay in events as they were sent.
    name: _Scheme(_ID, count)
    for name, count in (("adi", 3), ("bic", 1), ("gid", 3), ("imovn", 1), ("usdod", 2))
}


def parse_pattern(text: str, by_class: bool, keep_bad_check_digits: bool = False) -> Pattern:
    """The name or pattern that a text is; `by_class` where it is asked of classes and lots.

    Raises BadIdentifier. With `keep_bad_check_digits` a name with a wrong one is what a member kept as its own.
    """
    lower = text.lower()
    for space in (_PATTERN, _CLASS):
        if lower.startswith(space):
            name, _, body = text[len(space) :].partition(":")
            if space == _PATTERN or (name.lower() in _TABLE["class"] and body.endswith("." + _STAR)):
                return _of_pattern(text, name.lower(), body, by_class)
    return Pattern(text, _name(text, by_class, keep_bad_check_digits))


def _name(text: str, by_class: bool, keep_bad_check_digits: bool = False) -> str:
    thing, problem = name_reader(Position.EPC_CLASS if by_class else Position.EPC)(text)
    if problem is not None and not (keep_bad_check_digits and problem.rule == "bad-check-digit"):
        raise problem
    return thing.iri


def _of_pattern(text: str, name: str, body: str, by_class: bool) -> Pattern:
    scheme = _SCHEMES.get(name)
    if scheme is None:
        raise BadIdentifier("bad-pattern", f"one of {', '.join(_SCHEMES)} as the scheme", text)
    given = _given(text, body, scheme.components)
    if len(given) == scheme.components:
        return Pattern(text, _name(f"{scheme.space}{name}:{body}", by_class))
    of_classes = by_class and scheme.space == _ID
    if of_classes and scheme.names_class and len(given) == scheme.components - 1:
        # The one pattern that names a class: events hold it as the key without its last part.
        return Pattern(text, _name(text, by_class))
    ranges = []
    if scheme.key is None or of_classes:
        # Patterns of several classes are no key, so they stay in events as they were written.
        ranges.append(
            _as_written(f"{_PATTERN if of_classes else scheme.space}{name}:", given, scheme.components)
        )
    if scheme.key is not None and (scheme.names_class or not of_classes):
        ranges.append(_of_key(text, scheme, given, "" if of_classes else _end(scheme)))
    starts = tuple(start for one in ranges for start in one[0])
    return Pattern(text, None, starts, "|".join(one[1] for one in ranges))


def _given(text: str, body: str, count: int) -> list[str]:
    """The components that a pattern gives; those it leaves out are the last ones."""
    parts = body.split(".", count - 1)
    if len(parts) != count:
        raise BadIdentifier("bad-pattern", f"{count} components with dots between them", text)
    given = parts[: parts.index(_STAR)] if _STAR in parts else parts
    if any(part != _STAR for part in parts[len(given) :]):
        raise BadIdentifier("bad-pattern", "stars as the last components only, and no ranges", text)
    return given


_Ranges = tuple[tuple[str, ...], str]
"""Beginnings, and a regular expression."""


def _as_written(head: str, given: Sequence[str], count: int) -> _Ranges:
    start = head + "".join(f"{part}." for part in given)
    left = count - len(given)
    return (start,), re.escape(start) + r"\.".join([r"[^.]+"] * (left - 1) + [".+"])


def _of_key(text: str, scheme: _Scheme, given: Sequence[str], end: str) -> _Ranges:
    root = f"{ROOT}{scheme.key}/{scheme.zero}"
    starts, expression = _SHAPES[scheme.shape](text, scheme, given)
    # Where only the last component is left out, the qualifier before it is known: lots are not among serials.
    known = f"/{scheme.qualifier}/" if len(given) == scheme.components - 1 and end.startswith("/") else ""
    return tuple(root + start + known for start in starts), re.escape(root) + expression + end


def _end(scheme: _Scheme) -> str:
    """What follows the digits of a key in the canonical IRI of an instance."""
    if not scheme.extra:
        return ""
    if scheme.extra == "tail":
        return "[^/]+"
    end = f"/{scheme.qualifier}/[^/]+"
    return end if QUALIFIERS[scheme.qualifier].none is None else f"(?:{end})?"


def _prefix(text: str, given: Sequence[str]) -> str:
    if not (is_decimal(given[0]) and len(given[0]) in _PREFIX_DIGITS):
        raise BadIdentifier("bad-pattern", "a company prefix of 6 to 12 digits", text)
    return given[0]


def _digits(text: str, scheme: _Scheme, given: Sequence[str]) -> _Ranges:
    """Prefix and reference in a row, then the check digit."""
    if not given:
        return ("",), f"[0-9]{{{scheme.length + 1}}}"
    prefix = _prefix(text, given)
    left = scheme.length - len(prefix)
    if len(given) == 1:
        return (prefix,), f"{prefix}[0-9]{{{left + 1}}}"
    return _whole(prefix + _reference(text, given[1], left))


def _leading(text: str, scheme: _Scheme, given: Sequence[str]) -> _Ranges:
    """The first digit of the reference, the prefix, the rest of the reference, then the check digit."""
    if not given:
        return ("",), f"[0-9]{{{scheme.length + 1}}}"
    prefix = _prefix(text, given)
    left = scheme.length - len(prefix)
    if len(given) == 1:
        return tuple(f"{first}{prefix}" for first in range(10)), f"[0-9]{prefix}[0-9]{{{left}}}"
    reference = _reference(text, given[1], left)
    return _whole(reference[0] + prefix + reference[1:])


def _whole(digits: str) -> _Ranges:
    return (digits + check_digit(digits),), digits + check_digit(digits)


def _pieces(text: str, scheme: _Scheme, given: Sequence[str]) -> _Ranges:
    """As `_leading`, then which piece it is, and of how many."""
    starts, expression = _leading(text, scheme, given[:2])
    numbers = given[2:4]
    if not all(len(number) == 2 and is_decimal(number) for number in numbers):
        raise BadIdentifier("bad-pattern", "piece and total of two digits", text)
    known = "".join(numbers)
    return tuple(start + known for start in starts), f"{expression}{known}[0-9]{{{4 - len(known)}}}"


def _alpha(text: str, scheme: _Scheme, given: Sequence[str]) -> _Ranges:
    """Prefix, and a reference of any characters."""
    if not given:
        return ("",), "[^/]+"
    prefix = _prefix(text, given)
    if len(given) == 1:
        return (prefix,), f"{prefix}[^/]+"
    value = prefix + encode(unquote(given[1], errors="replace"))
    return (value,), re.escape(value)


def _reference(text: str, reference: str, length: int) -> str:
    if len(reference) != length or (length and not is_decimal(reference)):
        raise BadIdentifier("bad-pattern", f"a reference of {length} digits after that company prefix", text)
    return reference


_SHAPES: Final[dict[str, Callable[[str, _Scheme, Sequence[str]], _Ranges]]] = {
    "digits": _digits,
    "leading": _leading,
    "alpha": _alpha,
    "pieces": _pieces,
}
