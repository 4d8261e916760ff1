"""Addresses by concern: one module each, thin; what they answer is decided in `fabric` and `ledger`."""
