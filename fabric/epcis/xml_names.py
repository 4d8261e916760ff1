"""What extension elements of XML are called in JSON: names with a prefix in events, IRIs around them."""

from __future__ import annotations

from typing import Protocol

from .contexts import EPCIS_TERMS, GS1_PREFIXES
from .xml_marks import PROTECTED, SCHEMES
from .xml_parser import Name

RESERVED = frozenset({*GS1_PREFIXES, *EPCIS_TERMS, *SCHEMES, "url", "sha256"})
"""Prefixes that no JSON document may bind."""


class Naming(Protocol):
    """What extension names are called in JSON."""

    def member(self, name: Name) -> str:
        """The member name of an extension element or attribute."""

    def named(self, own: str, name: Name) -> str:
        """The member name of an element that is marked with one."""


class Prefixes:
    """Extension names of one record as prefix and name; `declared` is the context that the record needs."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._also: dict[str, str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    @property
    def declared(self) -> dict[str, str]:
        """Prefixes and the namespaces they stand for, those that GS1 protects left out."""
        return {prefix: uri for uri, prefix in self._of.items()} | self._also

    def member(self, name: Name) -> str:
        """The prefixed name; the prefix is the one first written for its namespace, if it may be one."""
        if not name.uri:
            return name.local
        prefix = PROTECTED.get(name.uri) or self._of.get(name.uri)
        if prefix is None:
            bound = self._also.get(name.prefix) == name.uri
            prefix = self._of[name.uri] = name.prefix if bound else self._free(name.prefix)
        return f"{prefix}:{name.local}"

    def named(self, own: str, name: Name) -> str:
        """The name as marked. Its prefix stands for the namespace of the element, or gives way to one that may."""
        prefix, colon, rest = own.partition(":")
        if not colon or prefix in SCHEMES or rest.startswith("//"):
            return own
        known = PROTECTED.get(name.uri) or self._of.get(name.uri)
        if prefix == known or self._also.get(prefix) == name.uri:
            return own
        if not name.uri or not prefix or not rest or prefix in self._taken or prefix in RESERVED:
            return (
                self.member(name).partition(":")[0] + ":" + rest if name.uri and rest else self.member(name)
            )
        self._taken.add(prefix)
        self._also[prefix] = name.uri
        return own

    def _free(self, written: str) -> str:
        prefix, stem = written, written or "ns"
        # A stem goes on where it stopped, so that many namespaces under one prefix cost no more than their number.
        while not prefix or prefix in self._taken or prefix in RESERVED:
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            prefix = f"{stem}{number}"
        self._taken.add(prefix)
        return prefix


class Absolute:
    """Extension names as IRIs, for the frame and master data, which have no context of their own."""

    def member(self, name: Name) -> str:
        """Namespace and name; a number sign between them where the namespace ends in no delimiter."""
        if not name.uri:
            return name.local
        if name.uri in PROTECTED:
            return f"{PROTECTED[name.uri]}:{name.local}"
        return f"{name.uri}{'' if name.uri[-1] in ':/#?' else '#'}{name.local}"

    def named(self, own: str, name: Name) -> str:
        """The name without regard to the mark: a prefix would mean nothing here."""
        return self.member(name)
