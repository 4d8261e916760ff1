"""Names that survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(path: Path) -> None:
    """Force to disk which names a folder holds. Raises OSError."""
    # Windows has no handle on a folder; there a rename is made durable by the file system's own journal.
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
