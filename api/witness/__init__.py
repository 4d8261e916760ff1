"""A tlog-witness behind HTTP: two paths, limits at the door, and the folder it lives in. What to cosign `ledger.witness` decides."""
