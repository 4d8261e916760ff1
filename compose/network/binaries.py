"""Hyperledger Fabric's programs on this machine: in a named folder, or on PATH. They are no part of Loomark."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from .errors import BinariesMissing

PROGRAMS: Final = ("orderer", "peer", "osnadmin", "configtxgen", "cryptogen")
VARIABLE: Final = "LOOMARK_HYPERLEDGER_BINARIES"


def find_binaries(folder: Path | None = None) -> dict[str, Path]:
    """The five programs by name. Raises :class:`BinariesMissing` with where a user gets them.

    ``folder``, or the one that :data:`VARIABLE` names, must then hold all five: half of one version and half of another
    is worse than none.
    """
    named = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    path = str(named.resolve()) if named else None
    found = {program: shutil.which(program, path=path) for program in PROGRAMS}
    missing = [program for program, place in found.items() if place is None]
    if missing:
        raise BinariesMissing(_missing(missing, named))
    return {program: Path(place).absolute() for program, place in found.items() if place}


def _missing(programs: list[str], folder: Path | None) -> str:
    where = f"in {folder}" if folder else "on PATH"
    return (
        f"not found {where}: {', '.join(programs)}. They are programs of Hyperledger Fabric 3: take the archive "
        "hyperledger-fabric-<system>-<version>.tar.gz from the releases of https://github.com/hyperledger/fabric, unpack "
        f"it, and name its folder bin by {VARIABLE}, or put it on PATH"
    )
