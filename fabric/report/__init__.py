"""Provenance reports: an answer together with the evidence it follows from (`loomark/report/v1`).

`verify_report` checks one offline and derives the answer again; everything it needs is in the base install.
`provenance` builds a report on a node, `html` renders what verified; both are imported by name. Deciding who may
see which record is left to `fabric.visibility`, the answer itself to `fabric.trace` and `fabric.compliance`.
"""

from __future__ import annotations

from .document import REPORT, STEPS, UnverifiedReport, parse_report
from .verify import VerifiedReport, verify_report

__all__ = ["REPORT", "STEPS", "UnverifiedReport", "VerifiedReport", "parse_report", "verify_report"]
