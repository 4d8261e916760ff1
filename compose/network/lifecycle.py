"""The chaincode on a channel: packaged per organisation, installed, approved by each, committed once, served by each.

A package says only where the organisation's own server listens and by which certificate it is known, so its id is known
before anything runs, and servers can start while the peers do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chaincode.package import ClientTls, ccaas_package, package_id

from .certificates import Authority, write_server
from .channel_config import ENDORSEMENT
from .errors import CommandFailed
from .layout import Layout, chaincode_host
from .programs import Programs

COMMAND: Final[tuple[str, ...]] = (sys.executable, "-m", "chaincode")
REPOSITORY: Final = Path(__file__).resolve().parent.parent.parent


def label(layout: Layout, sequence: int) -> str:
    """The label of the package that the definition with this sequence number names."""
    return f"{layout.topology.chaincode}_{sequence}"


def package_file(layout: Layout, number: int, sequence: int) -> Path:
    """Where an organisation's package lies."""
    return layout.home(f"chaincode{number}") / f"{label(layout, sequence)}.tar.gz"


def write_package(layout: Layout, number: int, sequence: int) -> str:
    """Write an organisation's package, and the certificate of its server; gives the package id."""
    name = f"chaincode{number}"
    tls = layout.home(name) / "tls"
    if not tls.exists():
        authority = Authority(layout.org(number) / "tlsca")
        write_server(tls, authority, chaincode_host(number), datetime.now(UTC).replace(microsecond=0))
    named = label(layout, sequence)
    tls_roots = ClientTls(layout.tls_roots(number).read_text("ascii"))
    package = ccaas_package(named, layout.endpoint(name), tls=tls_roots)
    package_file(layout, number, sequence).write_bytes(package)
    return package_id(named, package)


def server_command(layout: Layout, number: int, package: str, command: Sequence[str]) -> list[str]:
    """How an organisation's chaincode server is started."""
    name = f"chaincode{number}"
    tls = layout.home(name) / "tls"
    return [
        *command,
        *("--address", layout.endpoint(name), "--id", package),
        *("--tls-certificate", str(tls / "server.crt"), "--tls-key", str(tls / "server.key")),
    ]


def for_each(numbers: Iterable[int], task: Callable[[int], object]) -> None:
    """Do a task for each number at once; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for _ in pool.map(task, numbers):
            pass


def install(programs: Programs, number: int, sequence: int) -> None:
    """Install an organisation's package on its peer; one that is there already is as good."""
    try:
        programs.peer(
            number, "lifecycle", "chaincode", "install", package_file(programs.layout, number, sequence)
        )
    except CommandFailed as failed:
        if "already successfully installed" not in str(failed):
            raise


def _definition(layout: Layout, sequence: int) -> list[str]:
    """What organisations approve and commit: the endorsement policy is the channel's own (`channel_config`)."""
    return [
        *("--channelID", layout.topology.channel, "--name", layout.topology.chaincode),
        *("--version", str(sequence), "--sequence", str(sequence)),
        *("--channel-config-policy", ENDORSEMENT),
    ]


def approve(programs: Programs, number: int, sequence: int, package: str) -> None:
    """Approve the definition for one organisation; to have approved it before is as good."""
    try:
        programs.peer(
            number,
            *("lifecycle", "chaincode", "approveformyorg", *programs.orderer_flags()),
            *_definition(programs.layout, sequence),
            *("--package-id", package),
        )
    except CommandFailed as failed:
        if "attempted to redefine" not in str(failed):
            raise


def commit(programs: Programs, members: Sequence[int], sequence: int) -> None:
    """Commit the definition that the members have approved; one that is in force already is as good."""
    if committed_sequence(programs, members[0]) >= sequence:
        return
    programs.peer(
        members[0],
        *("lifecycle", "chaincode", "commit", *programs.orderer_flags()),
        *_definition(programs.layout, sequence),
        *programs.peer_flags(members),
    )


def committed_sequence(programs: Programs, number: int) -> int:
    """The sequence number of the definition in force, as one peer knows it; 0 for none."""
    topology = programs.layout.topology
    asked = ("lifecycle", "chaincode", "querycommitted", "--channelID", topology.channel, "--output", "json")
    try:
        said = programs.peer(number, *asked, "--name", topology.chaincode)
    except CommandFailed as failed:
        if "is not defined" in str(failed) or "404" in str(failed):
            return 0
        raise
    return _sequence(said)


def _sequence(said: str) -> int:
    try:
        return int(json.loads(said[said.index("{") :])["sequence"])
    except (ValueError, TypeError, KeyError):
        raise CommandFailed(f"expected a chaincode's definition, got {said[:200]!r}") from None
