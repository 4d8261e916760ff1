"""Checking a node's data folder: what is stored against what was signed, what is derived against what is stored.

It runs beside a live node, over connections that cannot write, on a copy of the database taken at one moment. It
leaves the log itself to `ledger.log.fsck`, deriving to the code that derives every day (`fabric.capture.indexing`,
`fabric.graph`), and repair to `loomark rebuild` and to people.

    report = check_node(Path("data"), Path("data/loomark.db"))
    report.faults       # empty when everything is as it must be
    report.explained    # what each kind of fault means, since when it was good, what to do

| module | checks |
|---|---|
| `moment` | takes the copy |
| `tables` | pages, tables, columns, indices |
| `stored` | documents, captures, records, links, jobs, credentials; `erasure`: gaps |
| `keys` | key files |
| `derived` | relational projections |
| `graphs` | the knowledge graph and the projector's notes |
| `bodies` | bodies beside the log, of any kind |
| `coverage` | what no check can tell |

`meaning` says what a fault means, `cause` which faults may follow from which, `report` tells both.
"""

from __future__ import annotations

from ledger.log.fault import Fault

from .coverage import NOT_COVERED, Uncovered
from .meaning import MEANINGS, Meaning
from .node import check_node
from .report import Explained, NodeReport, Told

__all__ = [
    "MEANINGS",
    "NOT_COVERED",
    "Explained",
    "Fault",
    "Meaning",
    "NodeReport",
    "Told",
    "Uncovered",
    "check_node",
]
