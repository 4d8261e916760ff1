"""What orderers and peers tell of themselves on their operations port: whether they serve, and who leads."""

from __future__ import annotations

import http.client
import re
import socket
from typing import Final

from .layout import HOST, Layout

_PATIENCE_S: Final = 5
_LEADER: Final = re.compile(r"^consensus_(?:etcdraft_is_leader|BFT_is_leader)\{([^}]*)\} 1$", re.MULTILINE)


def ask(port: int, path: str) -> str | None:
    """The body of a 200 answer from loopback; None for anything else."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode("utf-8", "replace") if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_healthy(layout: Layout, name: str) -> bool:
    """Whether an orderer or peer says that it serves."""
    return ask(layout.port(name, "operations"), "/healthz") is not None


def leads(metrics: str, channel: str) -> bool:
    """Whether an orderer's metrics say that it leads the channel."""
    return any(f'channel="{channel}"' in labels for labels in _LEADER.findall(metrics))


def has_leader(layout: Layout) -> bool:
    """Whether some orderer leads the channel, so that it accepts transactions."""
    for number in layout.orderers:
        metrics = ask(layout.port(f"orderer{number}", "operations"), "/metrics")
        if metrics is not None and leads(metrics, layout.topology.channel):
            return True
    return False


def is_listening(port: int) -> bool:
    """Whether something accepts connections on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(_PATIENCE_S)
        return probe.connect_ex((HOST, port)) == 0


def _gauge(port: int, name: str, channel: str) -> int | None:
    pattern = rf'^{name}\{{[^}}]*channel="{re.escape(channel)}"[^}}]*\}} ([0-9.e+]+)$'
    found = re.search(pattern, ask(port, "/metrics") or "", re.MULTILINE)
    return int(float(found[1])) if found else None


def height_of_peer(layout: Layout, number: int) -> int:
    """How many blocks of the channel a peer has committed; 0 where it does not tell."""
    port = layout.port(f"peer{number}", "operations")
    return _gauge(port, "ledger_blockchain_height", layout.topology.channel) or 0


def height_of_channel(layout: Layout) -> int:
    """How many blocks of the channel the orderers have ordered, as the one that is furthest says; 0 where none tells."""
    heights = (
        _gauge(
            layout.port(f"orderer{number}", "operations"),
            "consensus_[A-Za-z]+_committed_block_number",
            layout.topology.channel,
        )
        for number in layout.orderers
    )
    return max((height + 1 for height in heights if height is not None), default=0)
