"""The log's shell: statements become entries, entries become signed tree heads, tiles and proofs.

It owns the order of the write path (docs/spec/log.md): stage durably, give indices and move the head in one
transaction, sign only a committed head, publish tiles and then the checkpoint. It leaves what a statement
means to the pure heart of `ledger`, and what is done with a sequenced one to its caller.
"""

from __future__ import annotations
