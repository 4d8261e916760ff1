"""Collects what is wrong with a document, at most a hundred findings, each with its place."""

from __future__ import annotations

from typing import Any

from ledger.errors import Finding, LoomarkError

from .thing import BadIdentifier

MOST = 100
_SHOWN = 80


class EnoughFindings(LoomarkError):
    """The limit of findings is reached; looking on would only cost time."""


class Findings:
    """The findings about one document; `record` and `pointer` are those of the record being checked."""

    __slots__ = ("keep_bad_check_digits", "pointer", "record", "refused", "warned")

    def __init__(self, keep_bad_check_digits: bool = False) -> None:
        self.record: int | None = None
        self.pointer = ""
        self.keep_bad_check_digits = keep_bad_check_digits
        self.refused: list[Finding] = []
        self.warned: list[Finding] = []

    def at(self, record: int | None, pointer: str) -> None:
        """Says which record is being checked, and its pointer in the document."""
        self.record = record
        self.pointer = pointer

    def refuse(self, where: str, rule: str, expected: str, got: object) -> None:
        """Records something that makes the document unacceptable; `where` is a pointer from the record's."""
        self.refused.append(Finding(self.record, self.pointer + where, rule, expected, shown(got)))
        if len(self.refused) >= MOST:
            raise EnoughFindings

    def missing(self, where: str, expected: str) -> None:
        """Records that something required is not there; `where` is the pointer of what should hold it."""
        self.refuse(where, "missing-field", expected, "nothing")

    def warn(self, where: str, rule: str, expected: str, got: object) -> None:
        """Records something that is accepted, and worth telling."""
        if len(self.warned) < MOST:
            self.warned.append(Finding(self.record, self.pointer + where, rule, expected, shown(got)))

    def identifier(self, where: str, problem: BadIdentifier) -> None:
        """Records a bad identifier, as a warning where wrong check digits are to be kept."""
        tell = self.refuse
        if self.keep_bad_check_digits and problem.rule == "bad-check-digit":
            tell = self.warn
        tell(where, problem.rule, problem.expected, problem.got)


def shown(value: Any) -> str:
    """A short text of a value for a finding: text as it is, containers by their type."""
    if isinstance(value, str):
        return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
