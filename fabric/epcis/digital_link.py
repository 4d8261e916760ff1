"""GS1 Digital Links of any domain as spellings of GS1 keys.

Domain, path prefix, query, fragment and the spelled-out key words are dropped. On id.gs1.org every path must
be a key. On other domains a path that has no key is just a web address; but one that has a key with a wrong
check digit is refused, for it can only be a mistyped name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from .element_string import ELEMENTS
from .gs1 import KEY_WORDS, KEYS, QUALIFIER_WORDS, is_decimal, thing_of_key
from .thing import BadIdentifier, Thing

_GS1 = "https://id.gs1.org/"
# A key and three qualifiers, the most that any key takes.
_MOST_PARTS = 8
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def parse_link(text: str) -> Thing | None:
    """The thing a web address names by a GS1 key; None if it has no key. Raises BadIdentifier."""
    official = text.startswith(_GS1)
    if official:
        path = text[19:]
        parts = path.split("/")
        # Most links are a bare key, or a key and one qualifier, with nothing to cut or decode.
        if (
            len(parts) == 4
            and parts[0] in KEYS
            and parts[2] in KEYS[parts[0]].kind_with_one
            and _is_plain(path)
        ):
            return thing_of_key(parts[0], parts[1], ((parts[2], parts[3]),))
    else:
        _, _, rest = text.partition("://")
        host, _, path = rest.partition("/")
        official = host.lower() == "id.gs1.org"
    problem: BadIdentifier | None = None
    for candidate in _candidates(_cut(path).split("/")):
        try:
            return _named(candidate)
        except BadIdentifier as error:
            problem = problem or error
    if official:
        raise problem or BadIdentifier("bad-identifier", "a GS1 key in the path", text)
    if problem and problem.rule == "bad-check-digit":
        raise problem
    return None


def _is_plain(path: str) -> bool:
    return not ("%" in path or "?" in path or "#" in path)


def _cut(path: str) -> str:
    for mark in "?#":
        if mark in path:
            path = path[: path.index(mark)]
    return path[:-1] if path.endswith("/") else path


def _candidates(parts: list[str]) -> list[list[str]]:
    """The tails of a path that could be key and qualifiers, longest first."""
    count = len(parts)
    found = []
    for start in range(max(0, count - _MOST_PARTS), count - 1):
        if parts[start] in KEY_WORDS and (count - start) % 2 == 0:
            names = parts[start + 2 :: 2]
            allowed = KEYS[KEY_WORDS[parts[start]]].sequences
            known = [QUALIFIER_WORDS.get(name) for name in names]
            if all(any(name in sequence for sequence in allowed) for name in known):
                found.append(parts[start:])
    return found


def _named(parts: list[str]) -> Thing:
    ai = KEY_WORDS[parts[0]]
    if len(parts) == 2:
        return thing_of_key(ai, _decode(parts[1]))
    pairs = [(QUALIFIER_WORDS[parts[at]], _decode(parts[at + 1])) for at in range(2, len(parts), 2)]
    return thing_of_key(ai, _decode(parts[1]), pairs)


def _decode(segment: str) -> str:
    if "%" not in segment:
        return segment
    if _BAD_ESCAPE.search(segment):
        raise BadIdentifier("bad-identifier", "percent signs followed by two hex digits", segment)
    return unquote(segment, errors="replace")


def link_attributes(text: str) -> dict[str, str]:
    """The data attributes in a link's query, such as its best-before date: decoded value by application identifier.

    They say something about the thing and are no part of its name. Parameters that GS1 does not number are left
    out. Raises BadIdentifier for a number that may not stand there, that stands there twice, or whose value has
    another format.
    """
    found: dict[str, str] = {}
    for pair in re.split("[&;]", text.partition("#")[0].partition("?")[2]):
        name, _, given = pair.partition("=")
        if not is_decimal(name):
            continue
        element = ELEMENTS.get(name)
        if element is None or not element.attribute or name in found:
            raise BadIdentifier("bad-identifier", "each attribute of a GS1 Digital Link once", pair)
        value = _decode(given)
        if not element.format.matches(value):
            raise BadIdentifier("bad-identifier", f"{element.format.text} in ({name})", pair)
        found[name] = value
    return found
