"""What a process of its own needs: an end that comes with its parent's, and a file that is its alone.

Shell, not heart: nothing that decides or verifies leans on it. Who restarts what died is left to the node.
"""

from __future__ import annotations

from .companion import CompanionProcess, Ends
from .exclusive import ExclusiveDatabase

__all__ = ["CompanionProcess", "Ends", "ExclusiveDatabase"]
