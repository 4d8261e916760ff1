"""Two organisations on one channel, on the double or on a real network, and logs that they register there."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.hyperledger.channel import Channel, Committed
from ledger.hyperledger.connection import Profile
from ledger.hyperledger.gateway import Gateway, Patience, open_channel, open_gateway
from ledger.note import COSIGNATURE, ED25519, VerifierKey, cosign

ONE, TWO = "Org1MSP", "Org2MSP"
PATIENT = Patience(away_s=60, commit_s=90)


@dataclass
class Log:
    """A log that only ever has a tree: leaves are numbers, and so can be any other history of the same size."""

    origin: str
    key: SigningKey = field(default_factory=lambda: SigningKey(secrets.token_bytes(32)))

    @property
    def vkey(self) -> str:
        return VerifierKey(self.origin, ED25519, self.key.public_bytes).text()

    def note(self, size: int, history: str = "") -> bytes:
        return sign_checkpoint(Checkpoint(self.origin, size, self.root(size, history)), self.key)

    def root(self, size: int, history: str = "") -> bytes:
        return merkle.root(_leaves(size, history))

    def proof(self, start: int, size: int, history: str = "") -> list[bytes]:
        """The proof that the tree of ``size`` extends the one of ``start``; none from nothing."""
        return merkle.consistency_path(_leaves(size, history), start) if start else []


@dataclass
class Consortium:
    """Who is on the channel; ``profiles`` gives one by MSP id and whether it is the admin's."""

    kind: str
    profiles: Callable[[str, bool], Profile]
    cosigners: dict[str, SigningKey] = field(default_factory=dict)
    opened: list[Channel | Gateway] = field(default_factory=list)

    def channel(self, msp: str = ONE, *, admin: bool = False) -> Channel:
        channel = open_channel(self.profiles(msp, admin), patience=PATIENT)
        self.opened.append(channel)
        return channel

    def gateway(self, msp: str = ONE) -> Gateway:
        gateway = open_gateway(self.profiles(msp, False), patience=PATIENT)
        self.opened.append(gateway)
        return gateway

    def logs(self, count: int = 1, msp: str = ONE) -> list[Log]:
        """New logs, registered beside what the organisation has registered."""
        made = [Log(f"log-{secrets.token_hex(6)}.example") for _ in range(count)]
        admin = self.channel(msp, admin=True)
        known = {each.msp: each for each in admin.organisations()}
        origins = dict(known[msp].origins) if msp in known else {}
        listed = {**origins, **{log.origin: (log.vkey,) for log in made}}
        self.settle(admin.register(listed, self.cosigner_vkey(msp)))
        return made

    def settle(self, done: Committed) -> None:
        """Wait until each organisation's peer has a transaction: one may be a block behind another."""
        for msp in (ONE, TWO):
            assert self.channel(msp).outcome(done.tx_id) == done

    def cosigner_vkey(self, msp: str) -> str:
        return VerifierKey(_cosigner_name(msp), COSIGNATURE, self._cosigner(msp).public_bytes).text()

    def cosignature(self, msp: str, note: bytes, time_s: int = 1_750_000_000) -> bytes:
        text = note.decode().partition("\n\n")[0] + "\n"
        return cosign(text, _cosigner_name(msp), self._cosigner(msp), time_s).text().encode()

    def _cosigner(self, msp: str) -> SigningKey:
        # The same in each test process of one network: a registration may not be replaced by chance.
        return self.cosigners.setdefault(msp, SigningKey(hashlib.sha256(f"cosigner {msp}".encode()).digest()))

    @contextmanager
    def closing(self) -> Iterator[Consortium]:
        try:
            yield self
        finally:
            for each in self.opened:
                each.close()


def _leaves(size: int, history: str) -> list[bytes]:
    return [merkle.leaf_hash(f"{history}{number}".encode()) for number in range(size)]


def _cosigner_name(msp: str) -> str:
    return msp
