"""The Hyperledger Fabric network of a demonstration, started and ended by the command that a person would use.

It is no part of an installation: the command is `python -m compose.network` of a checkout.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ledger.errors import Unavailable

from .output import WRONG_USE, fail, status

NETWORK: Final = "network"
_COMMAND: Final = (sys.executable, "-m", "compose.network")
_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class DemoNetwork:
    """A network of two organisations that runs."""

    folder: Path

    def profile(self, number: int, *, admin: bool = False) -> Path:
        """The profile of an organisation's client, or of its administrator."""
        return self.folder / "profiles" / f"Org{number}{'-admin' if admin else ''}.toml"


def require_network() -> None:
    """End with status 2 and what is missing, unless a network can be started here."""
    if not _has("compose.network"):
        fail(
            "--hyperledger starts a network by the package compose, which is in a checkout of Loomark and not in an"
            " installed wheel: get the repository, then make demo ARGS=--hyperledger",
            WRONG_USE,
        )
    if not (_has("grpc") and _has("fabric_protos")):
        fail("--hyperledger needs the extra: pip install 'loomark[hyperledger]'", WRONG_USE)
    asked = _run("programs")
    if asked.returncode == _USAGE:
        fail(asked.stderr.strip(), WRONG_USE)
    _check(asked)


@contextmanager
def running_network(folder: Path) -> Iterator[DemoNetwork]:
    """A new network of two organisations in a folder, while the block runs. Its processes end with the block."""
    try:
        with status("starting a Hyperledger Fabric network"):
            _check(_run("up", "--dir", str(folder), "--orgs", "2"))
        yield DemoNetwork(folder)
    finally:
        # Also where starting was interrupted: what was started by then is recorded in the folder.
        end_network(folder)


def end_network(folder: Path) -> None:
    """End the processes of a network, whoever started them; nothing happens where none runs."""
    if folder.exists():
        _check(_run("down", "--dir", str(folder)))


def shown_command() -> str:
    """The command that starts and ends networks, as a person types it here."""
    program, *rest = _COMMAND
    near = os.path.relpath(program)
    return " ".join([program if near.startswith("..") else near, *rest])


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True, check=False)


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise Unavailable(done.stderr.strip() or _ended(done.args, done.returncode))


def _ended(command: Sequence[str], code: int) -> str:
    return f"{' '.join(command[1:])} ended with {code}"


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
