"""A strict reader of protocol buffer messages: of all bytes that mean a message it takes one spelling.

What peers sign runs several messages together without lengths between them, and hashes that. Only if each part has one
spelling does the hash name one set of parts, so everything is refused here that other readers let pass: unknown fields,
fields out of order or twice, defaults that are written out, longer varints than needed. It needs no library and
nobody's definitions, so who verifies evidence needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import InvalidInput

_LONGEST_VARINT: Final = 10


class Field(Enum):
    """How a field is written: a number, bytes or text, a message (which may be empty), or any number of the last two."""

    NUMBER = 0
    BYTES = 1
    MESSAGE = 2
    REPEATED = 3


@dataclass(frozen=True, slots=True)
class Message:
    """The fields of a message, each in the order it was written; what is absent has its type's default."""

    name: str
    numbers: Mapping[int, int]
    parts: Mapping[int, tuple[bytes, ...]]

    def number(self, field: int) -> int:
        """A number, 0 when absent."""
        return self.numbers.get(field, 0)

    def each(self, field: int) -> tuple[bytes, ...]:
        """Every value of a repeated field."""
        return self.parts.get(field, ())

    def data(self, field: int) -> bytes:
        """Bytes, empty when absent."""
        return b"".join(self.each(field))

    def text(self, field: int) -> str:
        """Text, empty when absent; raises :class:`InvalidInput` unless it is UTF-8."""
        try:
            return self.data(field).decode("utf-8")
        except UnicodeDecodeError:
            raise _refused(self.name, f"UTF-8 in field {field}") from None

    def has(self, field: int) -> bool:
        """Whether a message field is there, be it empty."""
        return field in self.parts


def parse_message(data: bytes, name: str, fields: Mapping[int, Field]) -> Message:
    """The message of these bytes with these fields alone; raises :class:`InvalidInput` (``bad-protobuf``)."""
    numbers: dict[int, int] = {}
    parts: dict[int, list[bytes]] = {}
    place = last = 0
    while place < len(data):
        tag, place = _varint(data, place, name)
        number, kind = tag >> 3, fields.get(tag >> 3)
        if kind is None or tag & 7 != (0 if kind is Field.NUMBER else 2):
            raise _refused(name, f"no field {number} of wire type {tag & 7}")
        if number < last or (number == last and kind is not Field.REPEATED):
            raise _refused(name, f"field {number} once and in order")
        value, place = _varint(data, place, name)
        if kind is Field.NUMBER:
            numbers[number] = value
        elif place + value > len(data):
            raise _refused(name, f"{value} bytes of field {number}")
        else:
            parts.setdefault(number, []).append(data[place : place + value])
            place += value
        if value == 0 and kind in (Field.NUMBER, Field.BYTES):
            raise _refused(name, f"nothing in place of the default of field {number}")
        last = number
    return Message(name, numbers, {number: tuple(values) for number, values in parts.items()})


def _varint(data: bytes, place: int, name: str) -> tuple[int, int]:
    value = 0
    for count in range(_LONGEST_VARINT):
        if place + count >= len(data):
            break
        byte = data[place + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte & 0x80:
            continue
        # A last group of zeros could be left out, but for the number 0 itself.
        if value >= 2**64 or (count and not byte):
            break
        return value, place + count + 1
    raise _refused(name, "a varint in its shortest form")


def _refused(name: str, expected: str) -> InvalidInput:
    return InvalidInput(f"{name}: expected {expected}", rule="bad-protobuf")
