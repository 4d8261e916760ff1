"""How long a company prefix is: what nothing but a table can tell of a key's digits.

GS1's member organisations license prefixes of 4 to 12 digits. The published list of how long the prefixes of each
range are comes packaged with the library `biip` (extra ``node``); it is read when it is first needed. Prefixes
that the node knows better, such as those its members hold, go before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

Lengths = Callable[[str], int | None]
"""The length of the company prefix that digits begin with; None where it is not known."""

_LEAST: Final = 6
_MOST: Final = 12
# A GTIN-8 in full length: its digits are allocated one by one, and no company prefix is in them.
_NO_PREFIX: Final = "00000"


class CompanyPrefixes:
    """What is known of company prefixes: `own` ones before the table `lengths`; shorter and longer than in a URN are left out."""

    def __init__(self, own: Iterable[str] = (), lengths: Lengths | None = None) -> None:
        self._own = frozenset(prefix for prefix in own if _LEAST <= len(prefix) <= _MOST)
        self._sizes = sorted({len(prefix) for prefix in self._own}, reverse=True)
        self._lengths = lengths

    def length(self, digits: str) -> int | None:
        """How many of these digits are the company prefix; None where that is not known.

        Never outside 6 to 12, the lengths that an EPC URN can have.
        """
        for size in self._sizes:
            if digits[:size] in self._own:
                return size
        if self._lengths is None or digits.startswith(_NO_PREFIX):
            return None
        length = self._lengths(digits)
        return length if length is not None and _LEAST <= length <= min(_MOST, len(digits)) else None


def packaged_lengths(digits: str) -> int | None:
    """The length by the packaged list; None for a range that it does not have, or without the library."""
    try:
        from biip.gs1_prefixes import GS1CompanyPrefix
    except ImportError:
        return None
    found = GS1CompanyPrefix.extract(digits)
    return None if found is None else len(found.value)


PACKAGED: Final = CompanyPrefixes(lengths=packaged_lengths)
"""The packaged list alone."""
