"""Writes the tables of GS1 keys and elements anew from the syntax dictionary of GS1.

    python -m ontology.gs1.generate gs1-syntax-dictionary.txt

The dictionary is facts: application identifiers, formats, which are keys of a Digital Link and which may stand in its
query. `keys.toml` and `elements.toml` are written from it; what no dictionary says (what a key names, what older
links call it) is kept by hand in `meaning.toml`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ENTRY: Final = re.compile(r"([0-9]{2,4})(?:-([0-9]{2,4}))?\s+(.*?)(?:\s+#.*)?")
_FLAGS: Final = re.compile(r"[*?!\"$%&'()+,./:;<=>@\\^_`{|}~-]+")
_COMPONENT: Final = re.compile(r"\[?([NXYZ])(\.\.)?([0-9]+)\]?")


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a value: characters, how many, whether it may be left out, and the checks it needs."""

    characters: str
    varies: bool
    most: int
    optional: bool
    checks: frozenset[str]

    def text(self) -> str:
        """The part as the tables write it."""
        plain = f"{self.characters}{'..' if self.varies else ''}{self.most}"
        return f"[{plain}]" if self.optional else plain


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the dictionary: a range of application identifiers with one format.

    `sequences` are the qualifiers of a key of a Digital Link, None for what is no key.
    """

    first: str
    last: str
    predefined: bool
    attribute: bool
    components: tuple[Component, ...]
    sequences: tuple[tuple[str, ...], ...] | None

    @property
    def name(self) -> str:
        """The application identifier, or the range of them."""
        return self.first if self.first == self.last else f"{self.first}-{self.last}"

    @property
    def format(self) -> str:
        """The format of the value."""
        return " ".join(component.text() for component in self.components)


def read_dictionary(text: str) -> list[Entry]:
    """The entries of the dictionary. Raises ValueError for a line that it does not understand."""
    return [_entry(line) for line in text.splitlines() if line and not line.startswith("#")]


def _entry(line: str) -> Entry:
    found = _ENTRY.fullmatch(line)
    if found is None:
        raise ValueError(f"expected an application identifier, got {line!r}")
    words = found[3].split()
    flags = words.pop(0) if _FLAGS.fullmatch(words[0]) else ""
    components = [_component(word) for word in words if _COMPONENT.match(word)]
    if not components or not set(flags) <= {"*", "?"}:
        raise ValueError(f"expected flags and a format, got {line!r}")
    sequences = next((_sequences(word) for word in words if word.partition("=")[0] == "dlpkey"), None)
    return Entry(found[1], found[2] or found[1], "*" in flags, "?" in flags, tuple(components), sequences)


def _component(word: str) -> Component:
    shape, *checks = word.split(",")
    found = _COMPONENT.fullmatch(shape)
    if found is None:
        raise ValueError(f"expected a component such as N13 or [X..17], got {word!r}")
    return Component(found[1], bool(found[2]), int(found[3]), shape[0] == "[", frozenset(checks))


def _sequences(word: str) -> tuple[tuple[str, ...], ...]:
    given = word.partition("=")[2]
    return tuple(tuple(part.split(",")) for part in given.split("|")) if given else ()


def keys_table(entries: Iterable[Entry]) -> str:
    """The text of `keys.toml`."""
    entries = list(entries)
    known = {entry.first: entry for entry in entries}
    keys = [entry for entry in entries if entry.sequences is not None]
    named = sorted({name for key in keys for sequence in key.sequences or () for name in sequence}, key=int)
    return "\n".join(
        [_KEYS_HEAD, *_keys(keys), "", "[qualifier]", *_qualifiers(known[name] for name in named), ""]
    )


def _keys(keys: Iterable[Entry]) -> Iterator[str]:
    yield "[key]"
    for key in keys:
        yield f"{key.first} = {{ {', '.join(_key(key))} }}"


def _key(key: Entry) -> Iterator[str]:
    """A key's value: leading digits, of which the last may be a check digit, and what follows them."""
    head = [part for part in key.components if not part.varies and part.checks & {"csum", "zero"}]
    rest = key.components[len(head) :]
    checks = frozenset().union(*(part.checks for part in key.components))
    if head:
        yield f"digits = {sum(part.most for part in head)}"
    if "zero" in checks:
        yield "leading_zero = true"
    if "pieceoftotal" in checks:
        yield "pieces = true"
    elif rest:
        (tail,) = rest
        yield f'tail = ["{tail.characters}", {tail.most}]'
        if not tail.optional:
            yield "tail_required = true"
    if "csum" in checks or "csumalpha" in checks:
        yield f'check = "{"mod10" if "csum" in checks else "gmn"}"'
    if key.sequences:
        yield f"qualifiers = [{', '.join(str(list(names)).replace(chr(39), chr(34)) for names in key.sequences)}]"


def _qualifiers(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        alone = any("nozeroprefix" in part.checks for part in entry.components)
        yield f'{entry.first} = {{ format = "{entry.format}"{", no_leading_zero = true" if alone else ""} }}'


def elements_table(entries: Iterable[Entry]) -> str:
    """The text of `elements.toml`."""
    return "\n".join([_ELEMENTS_HEAD, "[element]", *map(_element, entries), ""])


def _element(entry: Entry) -> str:
    flags = [name for name in ("predefined", "attribute") if getattr(entry, name)]
    return f"{entry.name} = {{ {', '.join([f'format = {chr(34)}{entry.format}{chr(34)}', *(f'{flag} = true' for flag in flags)])} }}"


_KEYS_HEAD: Final = """\
# GS1 identification keys as they stand in a Digital Link, and their qualifiers.
# Written by ontology/gs1/generate.py from the syntax dictionary of GS1; what a key names is in meaning.toml.
#
# digits: how many digits the value begins with. check: "mod10" over those digits, "gmn" over the whole value.
# leading_zero: the first of them is 0. pieces: piece and total of two digits each follow.
# tail: what may follow the digits, [character set, most characters]; tail_required: whether it must.
# Character sets: N digits, X the 82 and Y the 39 characters of GS1, Z those of base64url.
# qualifiers: allowed sequences, each in its order. format: "N13 [X..17]" is 13 digits, then at most 17 of X, or none.
"""
_ELEMENTS_HEAD: Final = """\
# The elements of an element string, by application identifier or range of them.
# Written by ontology/gs1/generate.py from the syntax dictionary of GS1.
#
# format: as in keys.toml. predefined: its length ends the element, so that no separator is needed.
# attribute: may stand in the query of a Digital Link.
"""


def main(arguments: list[str]) -> int:
    """Writes both tables beside this file."""
    if len(arguments) != 1:
        sys.stderr.write("expected one argument, the path of the syntax dictionary\n")
        return 2
    entries = read_dictionary(Path(arguments[0]).read_text(encoding="utf-8"))
    folder = Path(__file__).parent
    for name, table in (("keys.toml", keys_table(entries)), ("elements.toml", elements_table(entries))):
        (folder / name).write_text(table, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
