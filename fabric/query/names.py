"""Names of extension fields: the same field, whatever prefix a question and an event write it with.

A question binds its prefixes by the GS1-Extensions header or the `@context` of a query object, an event by its own
`@context`; what is compared are IRIs. Prefixes of the GS1 context keep GS1's meaning in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fabric.epcis.contexts import GS1_PREFIXES, ContextTable, HeldTable, effective_context
from fabric.epcis.identifiers import is_absolute_uri
from fabric.epcis.remembered import Remembered

from .errors import refused

_MOST_TOLD: Final = 20
_SCHEMES: Final = frozenset({"http", "https", "urn", "did", "tag"})


@dataclass(frozen=True, slots=True)
class FieldName:
    """An extension field as asked: `written` is the name itself, `iris` the IRIs that it may have in an event."""

    written: str
    iris: frozenset[str]

    def names(self, member: str, context: Sequence[Any], table: ContextTable) -> bool:
        """Whether a member name of an event, one with a colon, means this field under its committed `@context`."""
        prefix, _, rest = member.partition(":")
        # Most members end otherwise, and cost no look at the context.
        for iri in self.iris:
            if iri.endswith(rest):
                break
        else:
            return member == self.written and _is_unresolved(context, prefix, table)
        if prefix in _SCHEMES or rest.startswith("//"):
            return member in self.iris
        namespace = namespace_of(prefix, context, table)
        if namespace is None:
            return member == self.written and _is_unresolved(context, prefix, table)
        return namespace + rest in self.iris


def field_name(written: str, prefixes: Mapping[str, str], parameter: str) -> FieldName:
    """The field of a prefixed name or a whole IRI; the older form ``namespace#name`` is understood.

    Raises QueryParameter (`unknown-prefix`, `bad-field-name`) for the parameter that it stands in.
    """
    prefix, colon, rest = written.partition(":")
    if not colon or not prefix or not rest:
        raise refused(parameter, "bad-field-name", "an extension field as prefix:name or IRI", written)
    if prefix in _SCHEMES or rest.startswith("//"):
        if not is_absolute_uri(written):
            raise refused(parameter, "bad-field-name", "an absolute IRI", written)
        return FieldName(written, _older(written))
    namespace = GS1_PREFIXES.get(prefix) or prefixes.get(prefix)
    if namespace is None:
        known = ", ".join([*dict.fromkeys([*GS1_PREFIXES, *prefixes])][:_MOST_TOLD])
        raise refused(parameter, "unknown-prefix", f"a declared prefix, one of {known}", prefix)
    return FieldName(written, frozenset({namespace + rest}))


def _older(iri: str) -> frozenset[str]:
    """A whole IRI, and what ``namespace#name`` of EPCIS 1 is where the namespace itself has no number sign."""
    namespace, mark, local = iri.rpartition("#")
    if not mark or not local:
        return frozenset({iri})
    joint = ":" if f"{namespace}:" in GS1_PREFIXES.values() else ""
    return frozenset({iri, namespace + joint + local})


def namespace_of(prefix: str, context: Sequence[Any], table: ContextTable) -> str | None:
    """What a prefix stands for under a committed `@context`; None where it is not declared, or not resolved.

    The same answer as `effective_context` gives, without reading the whole of it.
    """
    protected = GS1_PREFIXES.get(prefix)
    if protected is not None:
        return protected
    for entry in reversed(context):
        if "url" in entry and "sha256" in entry:
            found = _OF_ADDRESS[entry["url"], HeldTable(table)][0].get(prefix)
        else:
            value = entry.get(prefix)
            found = _BOUND[value] if type(value) is str else None
        if found is not None:
            return found
    return None


def _is_unresolved(context: Sequence[Any], prefix: str, table: ContextTable) -> bool:
    """Whether a prefix may be declared in a context whose address nobody could resolve: then names are all there is."""
    held = HeldTable(table)
    unresolved = any(
        _OF_ADDRESS[entry["url"], held][1] for entry in context if "url" in entry and "sha256" in entry
    )
    return unresolved and namespace_of(prefix, context, table) is None


def _read_address(key: tuple[str, HeldTable]) -> tuple[dict[str, str], bool]:
    effective = effective_context([{"url": key[0], "sha256": None}], key[1].table)
    return effective.prefixes, bool(effective.unresolved)


def _read_binding(value: str) -> str | None:
    return value if is_absolute_uri(value) else None


_OF_ADDRESS: Final = Remembered(_read_address, most=1_024, size=lambda key: len(key[0]))
_BOUND: Final = Remembered(_read_binding, most=4_096)


def expanded(text: str, prefixes: Mapping[str, str]) -> str:
    """A compact name written out, where its prefix is bound; any other text as it is."""
    prefix, colon, rest = text.partition(":")
    if not colon or prefix in _SCHEMES or rest.startswith("//"):
        return text
    namespace = GS1_PREFIXES.get(prefix) or prefixes.get(prefix)
    return text if namespace is None else namespace + rest


_MDA: Final = GS1_PREFIXES["cbvmda"]


def attribute_iri(text: str, prefixes: Mapping[str, str] = GS1_PREFIXES) -> str:
    """One IRI for each spelling of a master data attribute; a bare word is one of the CBV's own attributes."""
    if ":" not in text:
        return _MDA + text
    iri = expanded(text, prefixes)
    older = f"{_MDA[:-1]}#"
    return _MDA + iri[len(older) :] if iri.startswith(older) else iri
