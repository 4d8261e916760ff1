"""The table at the end: each clause, how much it is required, and how its tests ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .binding import OPERATIONS
from .clauses import LEVELS, Clause

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

_HEAD = """\
# Conformance with the REST binding of EPCIS 2.0

Written by `make conformance` on {day}. Tested: {name}.

The suite is black-box and speaks HTTP only: `tests/conformance/epcis_rest`, run against any server with
`make conformance URL=https://example.org/epcis KEY=…`. The rules are told in the suite's own words; `must`, `should` and
`may` are the requirement levels of RFC 2119. A clause is counted once for each of its examples. What the suite captures
stays on the server, so give it a node that is not in use.
"""


@dataclass(frozen=True)
class Line:
    """How one test ended; `reason` says why it was skipped."""

    test: str
    outcome: str
    reason: str = ""


@dataclass
class Report:
    """All that was heard of a run."""

    lines: dict[Clause, list[Line]] = field(default_factory=dict)

    def add(self, clause: Clause, line: Line) -> None:
        """Take in the end of a test that checks `clause`; a test that failed twice counts once."""
        heard = self.lines.setdefault(clause, [])
        if line not in heard:
            heard.append(line)

    def count(self, level: str, outcome: str) -> int:
        """How many examples of a requirement level ended so."""
        return sum(
            line.outcome == outcome
            for clause, lines in self.lines.items()
            if clause.level == level
            for line in lines
        )

    def of(self, operation: str) -> list[Line]:
        """The tests of one operation of the binding."""
        return [line for clause, lines in self.lines.items() if clause.where == operation for line in lines]

    def summary(self) -> Iterator[str]:
        """The counts, and everything that did not pass."""
        yield ""
        yield f"{'level':8}{PASSED:>10}{FAILED:>10}{SKIPPED:>10}"
        for level in LEVELS:
            counts = (self.count(level, outcome) for outcome in (PASSED, FAILED, SKIPPED))
            yield f"{level:8}" + "".join(f"{count:>10}" for count in counts)
        covered = sum(any(line.outcome == PASSED for line in self.of(one)) for one in OPERATIONS)
        yield f"operations of the binding with a passed test: {covered} of {len(OPERATIONS)}"
        for clause, line in self._but(PASSED):
            told = f" ({line.reason})" if line.reason else ""
            yield f"{line.outcome}: {clause.where}: {clause.text}{told} [{line.test}]"

    def _but(self, outcome: str) -> Iterator[tuple[Clause, Line]]:
        for clause, lines in self.lines.items():
            for line in lines:
                if line.outcome != outcome:
                    yield clause, line

    def page(self, name: str) -> str:
        """The report as a page of Markdown."""
        parts = [_HEAD.format(day=datetime.now(UTC).date().isoformat(), name=name or "a server")]
        parts += ["## Counts\n", *self._counts(), "\n## Operations\n", *self._operations()]
        parts += ["\n## Clauses\n", *self._clauses()]
        skipped = [(clause, line) for clause, line in self._but(PASSED) if line.outcome == SKIPPED]
        if skipped:
            parts += [
                "\n## Skipped\n",
                *(f"- {one.where}: {one.text} Reason: {line.reason}." for one, line in skipped),
            ]
        return "\n".join(parts) + "\n"

    def _counts(self) -> Iterator[str]:
        yield "| level | passed | failed | skipped |\n|---|---|---|---|"
        for level in LEVELS:
            counts = (str(self.count(level, outcome)) for outcome in (PASSED, FAILED, SKIPPED))
            yield f"| {level} | {' | '.join(counts)} |"

    def _operations(self) -> Iterator[str]:
        yield "| operation | tests | passed | failed | skipped |\n|---|---|---|---|---|"
        for operation in OPERATIONS:
            lines = self.of(operation)
            counts = (str(sum(line.outcome == one for line in lines)) for one in (PASSED, FAILED, SKIPPED))
            yield f"| `{operation}` | {len(lines)} | {' | '.join(counts)} |"

    def _clauses(self) -> Iterator[str]:
        yield "| where | level | rule | result |\n|---|---|---|---|"
        for clause in sorted(self.lines, key=lambda one: (one.where.partition(" ")[2], one.where, one.text)):
            text = clause.text.replace("|", "\\|")
            yield f"| `{clause.where}` | {clause.level} | {text} | {_result(self.lines[clause])} |"


def _result(lines: list[Line]) -> str:
    counts = {one: sum(line.outcome == one for line in lines) for one in (PASSED, FAILED, SKIPPED)}
    if counts[PASSED] == len(lines):
        return PASSED if len(lines) == 1 else f"{PASSED} ({len(lines)})"
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
