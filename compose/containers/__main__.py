"""``python -m compose.containers write|deploy --dir DIR``: the material of the containers, and channel and chaincode."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compose.network.errors import BadTopology, BinariesMissing
from ledger.errors import LoomarkError

from .consortium import deploy, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m compose.containers", description=__doc__)
    parser.add_argument("what", choices=["write", "deploy"])
    parser.add_argument(
        "--dir", type=Path, default=Path(__file__).parent / "material", help="the material's folder"
    )
    parser.add_argument("--binaries", type=Path, help="where Hyperledger Fabric's programs are")
    asked = parser.parse_args(arguments)
    try:
        (write if asked.what == "write" else deploy)(asked.dir, asked.binaries)
    except LoomarkError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, (BadTopology, BinariesMissing)) else 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
