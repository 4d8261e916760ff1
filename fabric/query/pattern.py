"""Names and patterns of MATCH_ parameters, as ranges and tests of canonical IRIs (EPCIS 2.0 section 8.2.7.1.1).

A name in any spelling matches the thing it names. A pure identity pattern (`urn:epc:idpat:`, Tag Data Standard
section 8) leaves out components from the right; it matches every name that agrees in those it gives. The number
of digits a company prefix has is not in a canonical IRI, so digits are compared, not where the dots were.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one value of a MATCH_ parameter asks for.

    `iri` is the one thing that it names; of a pattern it is None, `starts` are beginnings and `expression` is a
    regular expression of what it matches.
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
