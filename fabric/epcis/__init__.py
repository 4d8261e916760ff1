"""The pure EPCIS 2.0 model: documents, events, identifiers, validation. No network, no SQL, no clock."""

from __future__ import annotations
