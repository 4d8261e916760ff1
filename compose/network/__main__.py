"""``python -m compose.network up|down|status --dir DIR``, or ``programs``: a Hyperledger Fabric network on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ledger.errors import LoomarkError

from .binaries import find_binaries
from .errors import BadTopology, BinariesMissing
from .layout import FEWEST_BFT, Topology
from .network import Network

USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; gives the exit status: 0, 1 where the network failed, 2 where something else was asked wrongly."""
    asked = _parser().parse_args(arguments)
    # A terminal that closes, or whoever ends this command, ends what it was about to start as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        return int(asked.do(asked))
    except (BinariesMissing, BadTopology) as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    except LoomarkError as error:
        sys.stderr.write(f"the network did not come up: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing that was started is left\n")
        return 130


def _interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m compose.network", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up|down|status|programs")
    up = commands.add_parser("up", help="build the network, or start what does not run of it")
    up.set_defaults(do=_up)
    up.add_argument("--orgs", type=int, metavar="N", help="organisations, one peer each (2)")
    up.add_argument("--orderers", type=int, metavar="N", help=f"orderers (1; {FEWEST_BFT} with --bft)")
    up.add_argument("--bft", action="store_true", default=None, help="order by SmartBFT instead of Raft")
    up.add_argument("--batch-timeout", metavar="TIME", help="how long a block waits for more (100ms)")
    down = commands.add_parser("down", help="end every process of the network")
    down.set_defaults(do=_down)
    down.add_argument("--delete", action="store_true", help="remove the folder as well")
    status = commands.add_parser("status", help="say what runs; exit status 1 unless everything does")
    status.set_defaults(do=_status)
    programs = commands.add_parser(
        "programs", help="say where Hyperledger Fabric's programs are; exit status 2 without"
    )
    programs.set_defaults(do=_programs)
    for command in (up, programs):
        command.add_argument(
            "--binaries", type=Path, metavar="DIR", help="where Hyperledger Fabric's programs are"
        )
    for command in (up, down, status):
        command.add_argument("--dir", type=Path, required=True, help="the network's folder")
    return parser


def _topology(asked: argparse.Namespace) -> Topology | None:
    """What the options say; None where they say nothing, so that ``up`` alone starts whatever the folder holds."""
    given = {
        "orgs": asked.orgs,
        "orderers": asked.orderers or (FEWEST_BFT if asked.bft else None),
        "bft": asked.bft,
        "batch_timeout": asked.batch_timeout,
    }
    given = {name: value for name, value in given.items() if value is not None}
    return Topology(**given) if given else None


def _up(asked: argparse.Namespace) -> int:
    network = Network(asked.dir, binaries=asked.binaries)
    started = time.monotonic()
    network.up(_topology(asked))
    sys.stdout.write(f"ready after {time.monotonic() - started:.1f} s\n")
    _say(network)
    return 0


def _down(asked: argparse.Namespace) -> int:
    Network(asked.dir).down(delete=asked.delete)
    return 0


def _status(asked: argparse.Namespace) -> int:
    network = Network(asked.dir)
    return 0 if _say(network) else 1


def _programs(asked: argparse.Namespace) -> int:
    for name, place in find_binaries(asked.binaries).items():
        sys.stdout.write(f"{name:<12} {place}\n")
    return 0


def _say(network: Network) -> bool:
    layout, status = network.layout, network.status()
    for name, (alive, memory) in status.items():
        size = f"{memory / 2**20:.0f} MiB" if memory else ""
        sys.stdout.write(f"{name:<12} {layout.endpoint(name):<16} {'runs' if alive else 'down':<5} {size}\n")
    for number in layout.orgs:
        sys.stdout.write(f"profile      {network.profile(number)}\n")
    return all(alive for alive, _ in status.values())


if __name__ == "__main__":
    raise SystemExit(main())
