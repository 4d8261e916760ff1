"""Identifiers of the suite's own: EPC URNs of a demonstration prefix, and the GS1 Digital Links they stand for.

Prefix 952 is set aside by GS1 for examples, so nothing here is anybody's product.
"""

from __future__ import annotations

import secrets
import string

PREFIX = "9521321"
"""A company prefix of seven digits."""

DIGITAL_LINK = "https://id.gs1.org"
_LETTERS = string.ascii_uppercase + string.digits


def fresh(length: int = 10) -> str:
    """A word of capital letters and digits that nobody used before."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def check_digit(digits: str) -> str:
    """The GS1 check digit: weights 3 and 1 from the right."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


class Item:
    """A serialised trade item, in both spellings."""

    def __init__(self, reference: str, serial: str) -> None:
        indicator, rest = reference[0], reference[1:]
        gtin = f"{indicator}{PREFIX}{rest}"
        self.urn = f"urn:epc:id:sgtin:{PREFIX}.{reference}.{serial}"
        self.pattern = f"urn:epc:idpat:sgtin:{PREFIX}.{reference}.*"
        self.link = f"{DIGITAL_LINK}/01/{gtin}{check_digit(gtin)}/21/{serial}"


class Lot:
    """A lot of a trade item, in both spellings."""

    def __init__(self, reference: str, lot: str) -> None:
        gtin = f"{reference[0]}{PREFIX}{reference[1:]}"
        self.urn = f"urn:epc:class:lgtin:{PREFIX}.{reference}.{lot}"
        self.link = f"{DIGITAL_LINK}/01/{gtin}{check_digit(gtin)}/10/{lot}"


class Place:
    """A location with a GLN extension, in both spellings."""

    def __init__(self, reference: str, extension: str) -> None:
        gln = f"{PREFIX}{reference}"
        self.urn = f"urn:epc:id:sgln:{PREFIX}.{reference}.{extension}"
        self.link = f"{DIGITAL_LINK}/414/{gln}{check_digit(gln)}/254/{extension}"


class Pallet:
    """A logistic unit, in both spellings."""

    def __init__(self, serial: str) -> None:
        digits = f"{serial[0]}{PREFIX}{serial[1:]}"
        self.urn = f"urn:epc:id:sscc:{PREFIX}.{serial}"
        self.link = f"{DIGITAL_LINK}/00/{digits}{check_digit(digits)}"


def fresh_pallet() -> Pallet:
    """A logistic unit nobody used before, as far as ten digits allow."""
    return Pallet("".join(secrets.choice(string.digits) for _ in range(10)))


def fresh_event_id() -> str:
    """A UUID as an event ID."""
    digits = secrets.token_hex(16)
    parts = (digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:])
    return "urn:uuid:" + "-".join(parts)


def fresh_hash_id() -> str:
    """An event ID of the form of CBV's event hash: with every character that a path has to encode."""
    return f"ni:///sha-256;{secrets.token_hex(32)}?ver=CBV2.0"
