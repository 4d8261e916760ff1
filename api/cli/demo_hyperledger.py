"""`loomark demo --hyperledger`: the main job on two nodes of two organisations that share a Hyperledger Fabric channel.

Each organisation runs a node with its own log, anchors its checkpoints on the channel, and cosigns every checkpoint that its
own peer marked valid. What an auditor then verifies offline names both. In the end the first organisation tries to fork its
log, with its own log key, and the channel refuses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import VerificationError
from ledger.hyperledger.connection import Peer, Profile, load_profile

from .child import ChildNode
from .demo_network import NETWORK, DemoNetwork, running_network, shown_command
from .main_job import NODE, MainJob, Say, Telling, main_story, story_of, tamper, verify_offline
from .output import out

if TYPE_CHECKING:
    from ledger.hyperledger.channel import Anchored, Channel

NODE_B: Final = "node-b"
ORIGIN_A: Final = "org1.example/log"
ORIGIN_B: Final = "org2.example/log"
POLICY_OF_B: Final = "policy-of-org2.txt"
_QUORUM: Final = 2
_PATIENCE_S: Final = 90.0
_EVENTS_B, _MEMBERS_B, _SEED_B = 40, 3, 11


def play_consortium(data: Path) -> None:
    """Both organisations' part, told step by step, in an empty folder."""
    started, say = time.monotonic(), Telling()
    with running_network(data / NETWORK) as network:
        say(
            "A Hyperledger Fabric network runs on this machine: two organisations with a peer and a chaincode server each,"
            " one orderer, a channel on which both must endorse"
        )
        _two_nodes(data, network, say)
        say("Both nodes are stopped. On any machine, offline: loomark verify report.json --policy policy.txt")
        verify_offline(data)
        tamper(data, say)
        _fork(data / NODE, network, say)
    say("Nodes and network are stopped; nothing of it is left running")
    out.print(f"\n[green]Done[/green] in {time.monotonic() - started:.0f} s. Files are in {data}.")
    out.print(
        f"To look at the channel again: {shown_command()} up --dir {data / NETWORK}; then loomark hyperledger history"
        f" {ORIGIN_A} --profile {network.profile(1)}",
        markup=False,
    )


def _two_nodes(data: Path, network: DemoNetwork, say: Say) -> None:
    story, lot, partner = main_story(data)
    with _anchoring(data / NODE, ORIGIN_A, network, 1, say) as a:
        followed = f'\n[[follow]]\norigin = "{ORIGIN_A}"\nurl = "{a.url}"\n'
        with _anchoring(data / NODE_B, ORIGIN_B, network, 2, say, followed) as b:
            job = MainJob(a, data, story, say)
            record = job.fill(lot, partner)
            other = _smaller_log(b, data / "org2", say)
            _anchored({ORIGIN_A: job, ORIGIN_B: other}, network, say)
            job.answer(lot, partner, record)
            _other_organisation(other, data, network, say)


@contextmanager
def _anchoring(
    data: Path, origin: str, network: DemoNetwork, number: int, say: Say, more: str = ""
) -> Iterator[ChildNode]:
    """A node that anchors for an organisation, which its administrator registers; `more` is added to its profile."""
    from .hyperledger import register

    profile = network.profile(number).with_name(f"Org{number}-node.toml")
    profile.write_text(network.profile(number).read_text() + more)
    with ChildNode(data, "--origin", origin, "--hyperledger", str(profile)) as child:
        say(
            f"Organisation {number} serves the log {origin} on {child.url}; its administrator registers it on the channel"
        )
        register(data=data, profile=network.profile(number, admin=True))
        yield child


def _smaller_log(child: ChildNode, data: Path, say: Say) -> MainJob:
    """The other organisation's log has members and records of its own."""
    from fabric.scenario import generate

    made = generate(_EVENTS_B, _MEMBERS_B, _SEED_B, data / "scenario")
    job = MainJob(
        child, data, story_of(data / "scenario", made.events), lambda text: say(f"Organisation 2: {text}")
    )
    job.admit(readers=False)
    job.capture()
    return job


def _anchored(jobs: Mapping[str, MainJob], network: DemoNetwork, say: Say) -> None:
    """Wait until everything that was published has the organisations' quorum, and tell what the channel holds."""
    for origin, job in jobs.items():
        job.wait_until(
            lambda state: state["anchor"]["lag"] == 0 and state["anchor"]["backlog"] == 0,
            f"anchoring {origin}",
            f"{origin} was not anchored in time",
            _PATIENCE_S,
        )
    say(
        "Both logs are on the channel, checkpoint by checkpoint, and each organisation cosigned what its own peer marked"
        " valid"
    )
    with closing(open_channel(load_profile(network.profile(1)))) as channel:
        for origin, job in jobs.items():
            history = _history(channel, origin)
            names = ", ".join(sorted(channel.cosignatures(origin, history[-1].size)))
            out.print(
                f"   {origin}: {job.story.events} events in {len(history)} transactions,"
                f" the last one of {history[-1].size} entries, cosigned by {names}",
                markup=False,
            )


def _history(channel: Channel, origin: str) -> list[Anchored]:
    found: list[Anchored] = []
    while page := channel.history(origin, found[-1].size if found else 0):
        found += page
    return found


def _other_organisation(other: MainJob, data: Path, network: DemoNetwork, say: Say) -> None:
    """B compares A's server with what A anchored, and verifies A's proof under a policy that A has no part in."""
    from ledger.policy import parse_policy

    from .hyperledger import policy
    from .verify import verdict_of

    size, _ = _latest(load_profile(network.profile(2)))
    look = other.wait_until(
        lambda state: _look(state).get("anchored") == _look(state).get("shown") == size,
        f"following {ORIGIN_A}",
        f"node B did not follow {ORIGIN_A} in time",
        _PATIENCE_S,
    )["anchor"]["followed"][ORIGIN_A]
    suspicions = "; ".join(look["suspicions"]) or "nothing to suspect"
    say(
        f"Organisation 2 follows {ORIGIN_A}: {look['anchored']} entries anchored, {look['shown']} shown by its server;"
        f" {suspicions}"
    )
    policy(ORIGIN_A, profile=network.profile(2), output=data / POLICY_OF_B, quorum=_QUORUM)
    trusted = parse_policy((data / POLICY_OF_B).read_text())
    for file in ("proof.json", "report.json"):
        verdict_of((data / file).read_bytes(), trusted)
    out.print(
        f"   {POLICY_OF_B} is what its own peer knows, organisation 1 not asked: proof.json and report.json verify under it",
        markup=False,
    )


def _look(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = state["anchor"].get("followed", {}).get(ORIGIN_A, {})
    return found


def _fork(node: Path, network: DemoNetwork, say: Say) -> None:
    """Sign other histories with the log's own key and submit them, in the log's own name, by each organisation's peer."""
    from ledger.checkpoint import Checkpoint, sign_checkpoint
    from ledger.keyfile import load_signer

    key, profile = load_signer(node / "keys" / "log.key"), load_profile(network.profile(1))
    size, root = _latest(profile)
    other = sha256(b"another history of " + root).digest()
    say(
        f"Organisation 1 tries to fork its log: its own log key signs another tree of {size} entries, and one that grows from it"
    )
    forks = {size: [], size + 1: [other]}
    for peer in (profile.peer, *profile.peers):
        for forked, proof in forks.items():
            note = sign_checkpoint(Checkpoint(ORIGIN_A, forked, other), key)
            out.print(f"   the peer of {peer.msp}: {_refusal(profile, peer, note, proof)}", markup=False)
    if _latest(profile) != (size, root):
        raise VerificationError("expected the channel to keep the first tree, got another", 9, "")
    out.print(f"   the channel keeps the tree of {size} entries that both cosigned", markup=False)


def _latest(profile: Profile) -> tuple[int, bytes]:
    with closing(open_channel(profile)) as channel:
        found = channel.latest(ORIGIN_A)
    assert found is not None
    return found


def _refusal(profile: Profile, peer: Peer, note: bytes, proof: Sequence[bytes]) -> str:
    from ledger.hyperledger.errors import ChaincodeRefused

    with closing(open_channel(profile, peer)) as channel:
        try:
            channel.submit(note, proof)
        except ChaincodeRefused as refused:
            return str(refused)
    raise VerificationError(f"the channel accepted a fork by the peer of {peer.msp}", 9, "")


def open_channel(profile: Profile, peer: Peer | None = None) -> Channel:
    """As `ledger.hyperledger.gateway.open_channel`, which is imported only when a channel is asked."""
    from ledger.hyperledger import gateway

    return gateway.open_channel(profile, peer)
