"""How records get in: validated, committed, stored durably, signed, sequenced, projected, proved.

`node` is the core of one node on one data folder: `settings` what it is told, `founding` its first entry, `opening`
its parts, `maintenance` what is done while it is stopped. `service` is what callers use; behind it `prepare` (pure,
in a pool of processes) makes rows of submitted bytes, `writer` (one thread) stores them with `intake` and projects
them with `indexing` in the transaction that gives them their log indices. `proof` builds bundles, `rebuild`
makes all projections anew. What records mean is left to `fabric.epcis`, what follows from them to
`fabric.lineage`, who sees them to `fabric.visibility`, the log itself to `ledger.log`.

Nothing is imported here: the command line rebuilds a folder without loading what a server needs.
"""

from __future__ import annotations
