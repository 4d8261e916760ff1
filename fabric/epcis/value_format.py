"""Formats of GS1 element values, such as ``N13 [X..17]``, as the tables of `ontology/gs1` write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

SET_82: Final = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
SET_39: Final = "#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SET_64: Final = "-0123456789=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_CHARACTERS: Final = {"N": "0123456789", "X": SET_82, "Y": SET_39, "Z": SET_64}
_KINDS: Final = {
    "N": "digits",
    "X": "characters of the GS1 set of 82",
    "Y": "characters of the GS1 set of 39",
    "Z": "characters of base64url",
}
_COMPONENT: Final = re.compile(r"(\[?)([NXYZ])(\.\.)?([0-9]+)\]?")


class Format(NamedTuple):
    """A format, ready for use: what a value must match as a whole, how a person reads it, its greatest length."""

    matches: Callable[[str], object]
    text: str
    most: int


def read_format(text: str) -> Format:
    """The format of a table's text: components, the last of which may vary in length, or be left out."""
    pattern, said, most = "", [], 0
    for word in text.split():
        found = _COMPONENT.fullmatch(word)
        if found is None:
            raise ValueError(f"expected a component such as N13 or [X..17], got {word!r}")
        optional, characters, varies, count = found.groups()
        part = f"[{re.escape(_CHARACTERS[characters])}]{{{1 if varies else count},{count}}}"
        pattern += f"(?:{part})?" if optional else part
        said.append(
            f"{'optionally ' if optional else ''}{'1 to ' if varies else ''}{count} {_KINDS[characters]}"
        )
        most += int(count)
    return Format(re.compile(pattern).fullmatch, " and ".join(said), most)
