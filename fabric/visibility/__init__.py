"""Who may see what: parties of a record, visibility classes, readers, and what a hand-over shows.

`parties`, `holders`, `handover` and `reader` decide, over values alone; `classes` keeps their outcome in the
tables `class`, `event`, `shown` and `handed`, inside the transaction that sequences. Everything that reads
records takes a `Reader` and asks here, once per class (design: meaning, section 4).
"""

from __future__ import annotations

from .holders import Holders
from .parties import Sides, parties
from .reader import NOBODY, Reader

__all__ = ["NOBODY", "Holders", "Reader", "Sides", "parties"]
