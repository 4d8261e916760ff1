"""A monitor follows a log as a reader who trusts nobody: it keeps what it was shown and says where that contradicts.

It owns the order of a look (docs/spec/misbehaviour.md): keep every signed checkpoint, check that the tree grew, read
and replay the new entries, write evidence that stands alone. It leaves HTTP to its caller, who hands in a
:class:`LogSource`. What decides is pure: :mod:`.audit` takes entries and names faults, :mod:`.evidence` turns a fault into
bytes that :func:`ledger.misbehaviour.verify_misbehaviour` accepts. Evidence that does not verify is never written.

::

    monitor = open_monitor(folder, policy, now_ms)
    report = monitor.look(log, witnesses)
    print(report.size, report.suspicions, report.evidence)
"""

from __future__ import annotations

from .archive import Archive
from .audit import Audit, Fault
from .follow import Monitor, Report, open_monitor
from .source import LogSource, Suspicion, WitnessSource

__all__ = [
    "Archive",
    "Audit",
    "Fault",
    "LogSource",
    "Monitor",
    "Report",
    "Suspicion",
    "WitnessSource",
    "open_monitor",
]
