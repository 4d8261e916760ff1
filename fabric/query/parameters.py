"""A question of the EPCIS 2.0 query language, read from a URL or from a query object into one `Query`.

Both say the same: equal questions read to equal queries. Everything that is wrong is found before anything is
refused, and each finding points at its parameter. What the parameters are is `grammar`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final

from fabric.epcis import PACKAGED, ContextTable
from fabric.epcis.contexts import as_entries, check_context, committed_context, effective_context
from fabric.epcis.findings import EnoughFindings, Findings, shown
from ledger.errors import Finding

from .conditions import Condition, ErrorDeclarations, EventTime, Query, RecordTime
from .errors import QueryParameter, QueryTooComplex, QueryValidation, refused
from .grammar import FIXED, Part, Row, Scope, find
from .values import Given, InJson, InUrl

MOST_PARAMETERS: Final = 200
"""Parameters of one question; one with more is too complex."""

_LONGEST_GUESS: Final = 64
_CONTEXT: Final = "@context"


def from_pairs(
    pairs: Iterable[tuple[str, str]], extensions: Mapping[str, str], *, keep_bad_check_digits: bool = False
) -> Query:
    """The question of a URL's query string, decoded into pairs, without `perPage` and `nextPageToken`.

    `extensions` are the prefixes of the GS1-Extensions header and their namespaces. Raises QueryParameter with
    a finding for each parameter that is refused, and QueryTooComplex.
    """
    givens = [InUrl(name, value) for name, value in pairs]
    return _question(givens, Scope(extensions, keep_bad_check_digits))


def from_json(
    query: Any,
    extensions: Mapping[str, str],
    *,
    keep_bad_check_digits: bool = False,
    contexts: ContextTable = PACKAGED,
) -> Query:
    """The question of a query object; its `@context` binds prefixes before `extensions` do.

    Raises QueryValidation where it is no object or has no good `@context`, else as `from_pairs`.
    """
    if not isinstance(query, dict):
        finding = Finding(None, "", "wrong-type", "an object of parameters", shown(query))
        raise QueryValidation(f"query: expected an object of parameters, got {finding.got}", (finding,))
    prefixes = {**extensions, **_prefixes(query.get(_CONTEXT), contexts)}
    givens = [InJson(name, value) for name, value in query.items() if name != _CONTEXT]
    return _question(givens, Scope(prefixes, keep_bad_check_digits))


def _prefixes(context: Any, contexts: ContextTable) -> Mapping[str, str]:
    if context is None:
        return {}
    found = Findings()
    with suppress(EnoughFindings):
        check_context(context, f"/{_CONTEXT}", found)
    if found.refused:
        first = found.refused[0]
        message = f"{first.pointer}: expected {first.expected}, got {first.got}"
        raise QueryValidation(message, found.refused, first.rule)
    return effective_context(committed_context(as_entries(context), contexts), contexts).prefixes


def _question(givens: Sequence[Given], scope: Scope) -> Query:
    if len(givens) > MOST_PARAMETERS:
        finding = Finding(None, "", "too-many-parameters", f"{MOST_PARAMETERS} at most", str(len(givens)))
        raise QueryTooComplex(f"expected {MOST_PARAMETERS} parameters at most, got {len(givens)}", (finding,))
    problems: list[QueryParameter] = []
    rows = _rows(givens, problems)
    conditions: dict[str, Condition] = {}
    parts = _Parts()
    for key, (row, given) in rows.items():
        try:
            built = row.build(given, scope)
        except QueryParameter as problem:
            problems.append(problem)
            continue
        if isinstance(built, Part):
            parts.add(built, given)
        elif built is not None:
            conditions[key] = built
    controls = parts.controls("orderBy" in rows, problems)
    conditions |= parts.conditions(problems)
    if problems:
        raise _together(problems)
    return Query(tuple(conditions[key] for key in sorted(conditions)), **controls)


def _rows(givens: Sequence[Given], problems: list[QueryParameter]) -> dict[str, tuple[Row, Given]]:
    """Each parameter once, by its one name; what is none, or comes twice, is a problem."""
    rows: dict[str, tuple[Row, Given]] = {}
    for given in givens:
        row = find(given.name)
        if row is None:
            problems.append(_unknown(given.name))
        elif row.key in rows:
            first = rows[row.key][1].name
            expected = f"each parameter once; several values have | between them in a URL (see {first})"
            problems.append(refused(given.name, "repeated-parameter", expected, f"{given.name} again"))
        else:
            rows[row.key] = row, given
    return rows


def _unknown(name: str) -> QueryParameter:
    near = get_close_matches(name, FIXED, 1) if len(name) <= _LONGEST_GUESS else []
    guess = f", perhaps {near[0]}" if near else ""
    got = name or "one without a name"
    return refused(name, "unknown-parameter", f"a parameter of the EPCIS query language{guess}", got)


def _together(problems: Sequence[QueryParameter]) -> QueryParameter:
    first = problems[0]
    findings = [finding for problem in problems for finding in problem.findings]
    more = f"; and {len(findings) - 1} more" if len(findings) > 1 else ""
    return QueryParameter(first.message + more, findings, first.rule)


class _Parts:
    """What several parameters say together, by group and side."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, tuple[Any, str]]] = {}

    def add(self, part: Part, given: Given) -> None:
        """Adds one side."""
        self._said.setdefault(part.group, {})[part.side] = part.value, given.name

    def _value(self, group: str, side: str) -> Any:
        return self._said.get(group, {}).get(side, (None, ""))[0]

    def conditions(self, problems: list[QueryParameter]) -> dict[str, Condition]:
        """The conditions of the groups."""
        found: dict[str, Condition] = {}
        for group, sides in self._said.items():
            if group == "query":
                continue
            ge_us, lt_us = self._value(group, "GE"), self._value(group, "LT")
            if ge_us is not None and lt_us is not None and ge_us > lt_us:
                start, end = sides["GE"][1], sides["LT"][1]
                expected = f"a time that is not before {start}, for nothing is in between"
                problems.append(refused(end, "contradictory-parameters", expected, "an earlier one"))
            found[group] = self._condition(
                group, ge_us, lt_us, ", ".join(sorted(name for _, name in sides.values()))
            )
        return found

    def _condition(self, group: str, ge_us: int | None, lt_us: int | None, parameter: str) -> Condition:
        if group == "eventTime":
            return EventTime(ge_us, lt_us, parameter)
        if group == "recordTime":
            return RecordTime(ge_us, lt_us, parameter)
        reasons, correctives = self._value(group, "reasons"), self._value(group, "correctives")
        return ErrorDeclarations(ge_us, lt_us, reasons, correctives, parameter)

    def controls(self, is_ordered: bool, problems: list[QueryParameter]) -> dict[str, Any]:
        """How many events are asked for, and in which order."""
        order, key = self._value("query", "orderBy") or (None, None)
        descending = self._value("query", "orderDirection")
        limit, most = self._value("query", "eventCountLimit"), self._value("query", "maxEventCount")
        if limit is not None and most is not None:
            expected = "eventCountLimit or maxEventCount, not both"
            problems.append(refused("maxEventCount", "contradictory-parameters", expected, "both"))
        if limit is not None and not is_ordered:
            problems.append(
                refused("eventCountLimit", "missing-parameter", "orderBy beside it", "no orderBy")
            )
        return {
            "order_by": order,
            "descending": True if descending is None else descending,
            "event_count_limit": limit,
            "max_event_count": most,
            "order_key": key,
        }
