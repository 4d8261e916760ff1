"""What a node's core is told, and what is called what in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.log.guard import MarkSource, no_marks

from .companion import Companion
from .keyring import KeySources
from .prepare import Limits
from .witnessing import WitnessSettings

DATABASE: Final = "loomark.db"
HIGH_WATER: Final = "high-water"


@dataclass(frozen=True)
class NodeSettings:
    """What a node's core is told. `operator_key` is the API key that the operator chose, a secret.

    `workers` is the number of prepare processes, 0 for one a core. `database` is an SQLAlchemy URL, None for
    SQLite in the folder. `companions` are children that follow the log, such as the graph's projector.
    `high_water` is the file that remembers what was signed, None for `high-water` in the folder; `marks` gives
    what witnesses remember beside those of the witness policy. `keys` are where keys come from besides the folder.
    `anchors` says that a companion anchors the log on a channel, so that proofs are against what was cosigned there.
    """

    data: Path
    origin: str = "loomark.local/log"
    operator_name: str = "Operator"
    operator_key: str | None = field(default=None, repr=False)
    database: str | None = None
    workers: int = 0
    limits: Limits = field(default_factory=Limits)
    companions: Sequence[Companion] = ()
    high_water: Path | None = None
    marks: MarkSource = no_marks
    witnesses: WitnessSettings = field(default_factory=WitnessSettings)
    keys: KeySources = field(default_factory=KeySources)
    anchors: bool = False

    @property
    def store(self) -> Path | str:
        """The database's path, or its URL."""
        return self.database or self.data / DATABASE

    @property
    def high_water_file(self) -> Path:
        """The file that remembers what was signed."""
        return self.high_water or self.data / HIGH_WATER
