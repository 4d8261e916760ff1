"""`loomark verify`: check a proof or a report offline. No network, no server library."""

from __future__ import annotations

import typer

app = typer.Typer()
