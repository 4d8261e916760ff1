"""One run of calls that touches every function, accepted and refused, as `python -m tests.chaincode.calls` prints it."""

from __future__ import annotations

import hashlib
import sys

from chaincode import Creator
from ledger.canonical import canonical
from ledger.shape import time_text
from tests.chaincode.memory import NOW_MS, MemoryChannel, Organisation


def calls() -> list[tuple[str, bytes, tuple[bytes, ...]]]:
    """The caller's MSP, the function and its arguments, in order."""
    first, second = Organisation.named("Org1MSP"), Organisation.named("Org2MSP")
    log, origin = first.log, first.log.origin.encode()
    many: dict[str, list[str]] = {f"log.example/{number}": [] for number in range(20)}
    registration = first.registration()
    registration["origins"] |= many
    proposal = {"counterpart": "Org2MSP", "digest": "ab" * 32, "until": time_text(NOW_MS + 1)}
    return [
        ("Org1MSP", b"organisations:register", (canonical(registration),)),
        ("Org2MSP", b"organisations:register", (canonical(second.registration()),)),
        ("Org2MSP", b"organisations:register", (canonical(registration),)),
        ("Org1MSP", b"organisations:list", ()),
        ("Org1MSP", b"organisations:get", (b"Org2MSP",)),
        ("Org1MSP", b"checkpoints:submit", (log.note(5), b"[]")),
        ("Org1MSP", b"checkpoints:submit", (log.note(9), log.proof(5, 9))),
        ("Org1MSP", b"checkpoints:submit", (log.note(9), log.proof(5, 9))),
        ("Org1MSP", b"checkpoints:submit", (log.note(20), log.proof(5, 20))),
        ("Org2MSP", b"checkpoints:submit", (log.note(20), log.proof(9, 20))),
        ("Org1MSP", b"checkpoints:latest", (origin,)),
        ("Org1MSP", b"checkpoints:at", (origin, b"5")),
        ("Org1MSP", b"checkpoints:history", (origin, b"0", b"100")),
        ("Org1MSP", b"checkpoints:cosign", (origin, b"9", first.line(log.note(9)))),
        ("Org2MSP", b"checkpoints:cosign", (origin, b"9", second.line(log.note(9)))),
        ("Org2MSP", b"checkpoints:cosignatures", (origin, b"9")),
        ("Org1MSP", b"agreements:propose", (b"deal", canonical(proposal))),
        ("Org2MSP", b"agreements:accept", (b"deal",)),
        ("Org2MSP", b"agreements:revoke", (b"deal",)),
        ("Org1MSP", b"agreements:expire", (b"deal",)),
        ("Org1MSP", b"agreements:get", (b"deal",)),
        ("Org1MSP", b"nothing:here", (b"\xff", b"{")),
    ]


def transcript(pem: bytes) -> list[bytes]:
    """Each call's response, reads, writes in order and event, as one text."""
    channel, lines = MemoryChannel(), list[bytes]()
    for msp, function, arguments in calls():
        response, stub = channel.simulate(Creator(msp, pem), function, *arguments)
        lines.append(repr((function, response, stub.reads, stub.writes, stub.event)).encode())
        if response.status == 200:
            channel.state.update(stub.writes)
    return lines


if __name__ == "__main__":
    from tests.chaincode.memory import certificate

    # A certificate is drawn anew in each process; nothing of it may reach what is printed.
    for line in transcript(certificate("Org1MSP", "admin")):
        sys.stdout.write(hashlib.sha256(line).hexdigest() + " " + line[:60].decode("ascii", "replace") + "\n")
