"""Hyperledger Fabric's command-line programs, run to their end, with what they read from the environment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import layout as names
from .errors import CommandFailed
from .layout import Layout
from .processes import environment

_PATIENCE_S: Final = 120
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs as one network uses them."""

    paths: Mapping[str, Path]
    layout: Layout

    def run(self, program: str, *arguments: str | Path, extra: Mapping[str, str] | None = None) -> str:
        """Run a program; gives its output. Raises :class:`CommandFailed` with its last words."""
        command = [str(self.paths[program]), *map(str, arguments)]
        try:
            ended = subprocess.run(
                command,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{program} {arguments[0]} did not end within {_PATIENCE_S} s") from None
        said = _COLOUR.sub("", ended.stdout.decode("utf-8", "replace")).strip()
        if ended.returncode != 0:
            raise CommandFailed(
                f"{' '.join([program, *map(str, arguments[:3])])}: {said[-1500:] or ended.returncode}"
            )
        return said

    def peer(self, number: int, *arguments: str | Path, admin: bool = True) -> str:
        """Run the client of organisation ``number``'s peer, as its admin or as its client."""
        extra = {
            "FABRIC_CFG_PATH": str(self.layout.home(f"peer{number}")),
            "CORE_PEER_ADDRESS": self.layout.endpoint(f"peer{number}"),
            "CORE_PEER_TLS_ROOTCERT_FILE": str(self.layout.tls_roots(number)),
            "CORE_PEER_MSPCONFIGPATH": str(self.layout.user(number, admin=admin) / "msp"),
            "CORE_PEER_CLIENT_CONNTIMEOUT": "15s",
            "FABRIC_LOGGING_SPEC": "error",
        }
        return self.run("peer", *arguments, extra=extra)

    def as_orderer_admin(self, number: int, *arguments: str | Path) -> str:
        """Run the client as the admin of an orderer's organisation, which has no peer of its own."""
        extra = {
            "FABRIC_CFG_PATH": str(self.layout.home("peer1")),
            "CORE_PEER_TLS_ROOTCERT_FILE": str(self.layout.orderer_tls_roots(number)),
            "CORE_PEER_LOCALMSPID": names.orderer_msp(number),
            "CORE_PEER_MSPCONFIGPATH": str(self.layout.orderer_admin(number) / "msp"),
            "FABRIC_LOGGING_SPEC": "error",
        }
        return self.run("peer", *arguments, extra=extra)

    def osnadmin(self, number: int, *arguments: str | Path) -> str:
        """Administer orderer ``number``: the first two arguments are the command."""
        tls = self.layout.orderer_admin(number) / "tls"
        return self.run(
            "osnadmin",
            *arguments,
            *("--orderer-address", self.layout.endpoint(f"orderer{number}", "admin")),
            *("--ca-file", self.layout.orderer_tls_roots(number)),
            *("--client-cert", tls / "client.crt", "--client-key", tls / "client.key"),
        )

    def orderer_flags(self, number: int = 1) -> Sequence[str]:
        """How the peer's client reaches an orderer."""
        return (
            *("--orderer", self.layout.endpoint(f"orderer{number}")),
            *("--tls", "--cafile", str(self.layout.orderer_tls_roots(number))),
        )

    def peer_flags(self, numbers: Sequence[int]) -> Sequence[str]:
        """The peers that are asked to endorse."""
        return [
            flag
            for number in numbers
            for flag in (
                *("--peerAddresses", self.layout.endpoint(f"peer{number}")),
                *("--tlsRootCertFiles", str(self.layout.tls_roots(number))),
            )
        ]
