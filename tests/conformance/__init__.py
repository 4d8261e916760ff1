"""The conformance suite for EPCIS, which is black-box, and what starts our own node for it."""
