"""Whether the records of a lot say what a regulation wants said, and where a statement is missing.

A `Dossier` is what one reader may see: records, verified or not, read once. Rules are data
(`ontology/fsma204`); deciding is pure, so an offline verifier comes to the same gaps as the node. Tracing is
left to `fabric.trace`, fetching records to `fabric.report`.
"""

from __future__ import annotations

from .dossier import Claim, Dossier, Record, read_record

__all__ = ["Claim", "Dossier", "Record", "read_record"]
