"""Native receipts (``loomark/hyperledger-receipt/v1``): an endorsed read of an anchored checkpoint, verified offline.

After a checkpoint is committed, the chaincode's ``checkpoints:at`` is proposed and endorsed like a transaction, and never
sent to be ordered. Each organisation's peer thereby signs what it read, and at which version (block, transaction) it
found it. docs/spec/hyperledger-receipt.md says what that proves and what not::

    data = fetch_receipt(gateway, "log.example/a", 1000, ["Org1MSP", "Org2MSP"])
    verified = verify_receipt(parse_receipt(data), parse_roots(roots_text), parse_policy(policy_text).logs)

Verification is step 10 of a proof's. It takes bytes and gives a verdict; it reads no clock and needs the base install.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Protocol

from .. import shape
from ..bundle import Step
from ..canonical import JSON, canonical, parse_json
from ..checkpoint import Checkpoint
from ..errors import InvalidInput, VerificationError
from ..note import VerifierKey, parse_note, verify_note
from .channel import Anchored, anchored_of
from .errors import BadAnswer
from .protobuf import Field, Message, parse_message
from .roots import ChannelRoots, public_key_bytes, signature_holds

RECEIPT: Final = "loomark/hyperledger-receipt/v1"
MAX_RECEIPT_BYTES: Final = 1_048_576
MAX_ENDORSEMENTS: Final = 64
MAX_ENDORSER_BYTES: Final = 16_384
MAX_SIGNATURE_BYTES: Final = 256
FUNCTION: Final = "checkpoints:at"
STEP: Final = 10

_RECEIPT: Final = frozenset(
    {"hyperledgerReceipt", "channelHeader", "signatureHeader", "invocation", "response", "endorsements"}
)
_ENDORSEMENT: Final = frozenset({"endorser", "signature"})
_ENDORSER_TRANSACTION: Final = 3
_SUCCESS: Final = 200
_LIFECYCLE: Final = "_lifecycle"
_SIZE_DIGITS: Final = 16
_END_OF_TIME_S: Final = 253_402_300_800

_NUMBER, _BYTES, _MESSAGE, _REPEATED = Field.NUMBER, Field.BYTES, Field.MESSAGE, Field.REPEATED


@dataclass(frozen=True, slots=True)
class Endorsement:
    """One peer's signature over the response and its own identity (msp.SerializedIdentity)."""

    endorser: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedReceipt:
    """A well-formed receipt: what was asked, in three parts, and the one answer to it with its endorsements."""

    channel_header: bytes
    signature_header: bytes
    invocation: bytes
    response: bytes
    endorsements: tuple[Endorsement, ...]


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A checkpoint as peers of ``organisations`` (MSP ids) read it; only :func:`verify_receipt` makes it.

    Transaction ``transaction`` (from 0) of block ``block`` wrote it. ``version`` is the chaincode's when it was read.
    ``asked_ms`` is the time that the asking client put into its proposal, ms since 1970: nobody's time of acceptance.
    """

    channel: str
    chaincode: str
    version: str
    anchored: Anchored
    block: int
    transaction: int
    organisations: tuple[str, ...]
    asked_ms: int


class EndorsedRead(Protocol):
    """An endorsed transaction; ``payload`` (common.Payload) is what its proposer would sign to have it ordered."""

    @property
    def payload(self) -> bytes:
        """The transaction's bytes."""


class Endorser(Protocol):
    """Who has peers endorse a call; see `gateway.Gateway`."""

    def endorse(
        self, function: str, args: Sequence[bytes], organisations: Sequence[str] = ()
    ) -> EndorsedRead:
        """A call endorsed by exactly ``organisations``, or as the channel's policy asks; nothing is ordered."""


def fetch_receipt(endorser: Endorser, origin: str, size: int, organisations: Sequence[str] = ()) -> bytes:
    """The receipt of an anchored checkpoint by peers of these organisations, or of as many as the channel's policy asks.

    Checked in everything but certificates and signatures, which need pins. Raises :class:`BadAnswer`, and what the
    endorser raises.
    """
    transaction = endorser.endorse(FUNCTION, [origin.encode(), b"%d" % size], organisations)
    try:
        receipt = _of_transaction(transaction.payload)
        asked = _asked(receipt)
        if (asked.origin, asked.size) != (origin, size):
            raise InvalidInput("expected an answer to what was asked, got another", rule="wrong-call")
        _told(receipt, asked)
        by_msp = {_endorser(each.endorser)[0]: each for each in receipt.endorsements}
    except InvalidInput as error:
        raise BadAnswer(f"expected an endorsed read of {origin} at {size}: {error.message}") from error
    if organisations and by_msp.keys() != set(organisations):
        named = ", ".join(sorted(by_msp))
        raise BadAnswer(f"expected endorsements by {', '.join(sorted(organisations))}, got {named}")
    # A policy may ask for two peers of one organisation; in a receipt each organisation speaks once.
    return receipt_bytes(replace(receipt, endorsements=tuple(by_msp.values())))


def receipt_bytes(receipt: UnverifiedReceipt) -> bytes:
    """The canonical bytes of a receipt."""
    endorsements: list[JSON] = [
        {"endorser": shape.base64_text(each.endorser), "signature": shape.base64_text(each.signature)}
        for each in receipt.endorsements
    ]
    return canonical(
        {
            "hyperledgerReceipt": RECEIPT,
            "channelHeader": shape.base64_text(receipt.channel_header),
            "signatureHeader": shape.base64_text(receipt.signature_header),
            "invocation": shape.base64_text(receipt.invocation),
            "response": shape.base64_text(receipt.response),
            "endorsements": endorsements,
        }
    )


def parse_receipt(data: bytes) -> UnverifiedReceipt:
    """The receipt of a file's bytes; raises :class:`VerificationError` of step 10 with the place at fault."""
    if len(data) > MAX_RECEIPT_BYTES:
        raise VerificationError(f"expected a receipt of at most {MAX_RECEIPT_BYTES} bytes", STEP, "")
    with Step(STEP, ""):
        value = parse_json(data)
    return receipt_of(value)


def receipt_of(value: JSON) -> UnverifiedReceipt:
    """As :func:`parse_receipt`, of a value that was parsed by :func:`ledger.canonical.parse_json`."""
    with Step(STEP, ""):
        read = shape.members(value, "receipt", _RECEIPT)
        if read["hyperledgerReceipt"] != RECEIPT:
            raise InvalidInput(f"expected {RECEIPT}, got another format", rule="bad-version")
    with Step(STEP, "/endorsements"):
        listed = shape.array(read["endorsements"], "endorsements", 1, MAX_ENDORSEMENTS)
    return UnverifiedReceipt(
        _bytes(read, "channelHeader", ""),
        _bytes(read, "signatureHeader", ""),
        _bytes(read, "invocation", ""),
        _bytes(read, "response", ""),
        tuple([_endorsement(each, number) for number, each in enumerate(listed)]),
    )


def verify_receipt(
    receipt: UnverifiedReceipt,
    roots: ChannelRoots,
    logs: Sequence[VerifierKey],
    checkpoint: Checkpoint | None = None,
) -> VerifiedReceipt:
    """Verify a receipt under pinned roots, of a log whose keys are pinned (those of a trust policy).

    With ``checkpoint`` it has to be the receipt of exactly that one. Endorsements by organisations that are not pinned
    are left out; each other one has to hold. Raises :class:`VerificationError` of step 10 with the place at fault.
    """
    with Step(STEP, "/channelHeader"):
        asked = _asked(receipt)
        if (asked.channel, asked.chaincode) != (roots.channel, roots.chaincode):
            raise InvalidInput(
                f"expected a read of chaincode {roots.chaincode} on channel {roots.channel}, got one of another",
                rule="wrong-channel",
            )
    with Step(STEP, "/response"):
        told = _told(receipt, asked)
        _check_note(told.anchored, logs, checkpoint)
    organisations = _endorsed_by(receipt, roots, asked.at_ms)
    return VerifiedReceipt(
        asked.channel,
        asked.chaincode,
        told.version,
        told.anchored,
        told.block,
        told.transaction,
        organisations,
        asked.at_ms,
    )


def _bytes(read: Mapping[str, Any], name: str, place: str) -> bytes:
    with Step(STEP, f"{place}/{name}"):
        return shape.base64_bytes(shape.text(read[name], name, MAX_RECEIPT_BYTES), name)


def _endorsement(value: JSON, number: int) -> Endorsement:
    place = f"/endorsements/{number}"
    with Step(STEP, place):
        read = shape.members(value, "endorsement", _ENDORSEMENT)
    endorser, signature = _bytes(read, "endorser", place), _bytes(read, "signature", place)
    with Step(STEP, place):
        if len(endorser) > MAX_ENDORSER_BYTES or len(signature) > MAX_SIGNATURE_BYTES:
            raise InvalidInput(
                f"expected an endorser of at most {MAX_ENDORSER_BYTES} bytes and a signature of at most"
                f" {MAX_SIGNATURE_BYTES}"
            )
    return Endorsement(endorser, signature)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a proposal asks: the read of which checkpoint, by which chaincode, and when by its client's clock."""

    channel: str
    chaincode: str
    at_ms: int
    origin: str
    size: int

    @property
    def key(self) -> str:
        """Where the chaincode keeps that checkpoint (docs/spec/chaincode.md)."""
        name = self.origin.replace("%", "%25").replace("/", "%2F")
        return f"checkpoint/{name}/{self.size:0{_SIZE_DIGITS}d}"


@dataclass(frozen=True, slots=True)
class _Told:
    """What the endorsed response tells: the checkpoint, the version of its key, and the chaincode's version."""

    anchored: Anchored
    block: int
    transaction: int
    version: str


def _asked(receipt: UnverifiedReceipt) -> _Asked:
    """What the three parts of the proposal say, where they agree with each other."""
    header = parse_message(
        receipt.channel_header,
        "common.ChannelHeader",
        {1: _NUMBER, 3: _MESSAGE, 4: _BYTES, 5: _BYTES, 7: _BYTES},
    )
    if header.number(1) != _ENDORSER_TRANSACTION:
        raise InvalidInput("expected the header of an endorsed transaction, got another", rule="bad-receipt")
    extension = parse_message(header.data(7), "protos.ChaincodeHeaderExtension", {2: _MESSAGE})
    chaincode = parse_message(extension.data(2), "protos.ChaincodeID", {2: _BYTES}).text(2)
    signer = parse_message(receipt.signature_header, "common.SignatureHeader", {1: _BYTES, 2: _BYTES})
    if header.text(5) != sha256(signer.data(2) + signer.data(1)).hexdigest():
        raise InvalidInput(
            "expected the transaction id of this client and nonce, got another", rule="bad-receipt"
        )
    called, args = _call(receipt.invocation)
    if called != chaincode:
        raise InvalidInput("expected one chaincode to be called, got two names", rule="bad-receipt")
    origin, size = _arguments(args)
    return _Asked(header.text(4), chaincode, _time_ms(header.data(3)), origin, size)


def _call(invocation: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The chaincode that an invocation names, and its arguments."""
    outer = parse_message(invocation, "protos.ChaincodeInvocationSpec", {1: _MESSAGE})
    spec = parse_message(outer.data(1), "protos.ChaincodeSpec", {2: _MESSAGE, 3: _MESSAGE})
    called = parse_message(spec.data(2), "protos.ChaincodeID", {2: _BYTES}).text(2)
    return called, parse_message(spec.data(3), "protos.ChaincodeInput", {1: _REPEATED}).each(1)


def _arguments(args: tuple[bytes, ...]) -> tuple[str, int]:
    if len(args) != 3 or args[0] != FUNCTION.encode():
        raise InvalidInput(f"expected a call of {FUNCTION}, got another", rule="wrong-call")
    try:
        origin, digits = args[1].decode("utf-8"), args[2].decode("ascii")
    except UnicodeDecodeError:
        raise InvalidInput("expected an origin and a size, got other bytes", rule="wrong-call") from None
    if not digits.isdecimal() or len(digits) > _SIZE_DIGITS or digits != str(int(digits)):
        raise InvalidInput("expected a size in decimal, got other text", rule="wrong-call")
    return origin, shape.count(int(digits), "size", 1)


def _time_ms(timestamp: bytes) -> int:
    read = parse_message(timestamp, "google.protobuf.Timestamp", {1: _NUMBER, 2: _NUMBER})
    seconds, nanoseconds = read.number(1), read.number(2)
    if seconds >= _END_OF_TIME_S or nanoseconds >= 10**9:
        raise InvalidInput("expected a time from 1970 to 9999, got another", rule="bad-time")
    return seconds * 1000 + nanoseconds // 1_000_000


def _told(receipt: UnverifiedReceipt, asked: _Asked) -> _Told:
    """What the response says, where it is one to this proposal."""
    payload = parse_message(receipt.response, "protos.ProposalResponsePayload", {1: _BYTES, 2: _BYTES})
    if payload.data(1) != _proposal_hash(receipt):
        raise InvalidInput("expected the response to this proposal, got another's", rule="wrong-proposal")
    action = parse_message(payload.data(2), "protos.ChaincodeAction", {1: _BYTES, 3: _MESSAGE, 4: _MESSAGE})
    ran = parse_message(action.data(4), "protos.ChaincodeID", {2: _BYTES, 3: _BYTES})
    if ran.text(2) != asked.chaincode:
        raise InvalidInput(
            "expected the answer of the called chaincode, got another's", rule="wrong-chaincode"
        )
    answer = parse_message(action.data(3), "protos.Response", {1: _NUMBER, 2: _BYTES, 3: _BYTES})
    if answer.number(1) != _SUCCESS:
        raise InvalidInput(f"expected status {_SUCCESS}, got {answer.number(1)}", rule="wrong-answer")
    block, transaction = _version_read(action.data(1), asked)
    anchored = anchored_of(parse_json(answer.data(3)), asked.origin, asked.size)
    return _Told(anchored, block, transaction, ran.text(3))


def _proposal_hash(receipt: UnverifiedReceipt) -> bytes:
    """What endorsers sign of a proposal: its headers and its invocation as a field of its own, one after the other."""
    size, written = len(receipt.invocation), bytearray([0x0A])
    while size > 0x7F:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    written.append(size)
    return sha256(receipt.channel_header + receipt.signature_header + written + receipt.invocation).digest()


def _version_read(results: bytes, asked: _Asked) -> tuple[int, int]:
    """Block and transaction that wrote the checkpoint's key, of a transaction that reads this key and changes nothing."""
    sets = parse_message(results, "rwset.TxReadWriteSet", {2: _REPEATED})
    # The peer itself looks up the chaincode's definition, and records that it did.
    found = [_namespace(each) for each in sets.each(2)]
    if [name for name, _ in found if name != _LIFECYCLE] != [asked.chaincode] or len(found) > 2:
        raise InvalidInput("expected reads of one chaincode's state, got others", rule="wrong-read")
    reads = next(reads for name, reads in found if name == asked.chaincode)
    if len(reads) != 1 or reads[0].text(1) != asked.key:
        raise InvalidInput(f"expected a read of the key {asked.key} alone, got another", rule="wrong-read")
    if not reads[0].has(2):
        raise InvalidInput("expected the version at which the key was read, got none", rule="wrong-read")
    version = parse_message(reads[0].data(2), "kvrwset.Version", {1: _NUMBER, 2: _NUMBER})
    # Block 0 is the channel's configuration; no chaincode writes there.
    if not 0 < version.number(1) <= shape.MAX_TREE_SIZE or version.number(2) > shape.MAX_TREE_SIZE:
        raise InvalidInput("expected a version of a block from 1 to 2^53-1, got another", rule="wrong-read")
    return version.number(1), version.number(2)


def _namespace(data: bytes) -> tuple[str, list[Message]]:
    """The reads in one chaincode's state; a range, a write or private data is no field that is taken here."""
    read = parse_message(data, "rwset.NsReadWriteSet", {1: _BYTES, 2: _BYTES})
    reads = parse_message(read.data(2), "kvrwset.KVRWSet", {1: _REPEATED}).each(1)
    return read.text(1), [parse_message(each, "kvrwset.KVRead", {1: _BYTES, 2: _MESSAGE}) for each in reads]


def _check_note(anchored: Anchored, logs: Sequence[VerifierKey], checkpoint: Checkpoint | None) -> None:
    own = [key for key in logs if key.name == anchored.origin]
    if not own:
        raise InvalidInput(f"expected a log of the policy, got {anchored.origin}", rule="unknown-log")
    verify_note(parse_note(anchored.note), own)
    if checkpoint is not None and checkpoint != Checkpoint(anchored.origin, anchored.size, anchored.root):
        raise InvalidInput(
            f"expected the checkpoint of {checkpoint.origin} at {checkpoint.size} that is to be proved, got"
            f" another",
            rule="other-checkpoint",
        )


def _endorsed_by(receipt: UnverifiedReceipt, roots: ChannelRoots, at_ms: int) -> tuple[str, ...]:
    """The pinned organisations whose peers signed the response; raises unless they are enough, each once."""
    found: set[str] = set()
    keys: set[bytes] = set()
    for number, each in enumerate(receipt.endorsements):
        with Step(STEP, f"/endorsements/{number}"):
            msp, certificate = _endorser(each.endorser)
            if msp not in roots.issuers:
                continue
            if msp in found:
                raise InvalidInput(f"expected one endorsement by {msp}, got two", rule="same-organisation")
            signer = roots.check_peer(msp, certificate, at_ms)
            if not signature_holds(signer, receipt.response + each.endorser, each.signature):
                raise InvalidInput(
                    f"expected a valid signature with low s by {msp}, got another", rule="signature"
                )
            found.add(msp)
            # Two organisations may pin one authority; whoever has a key of it could sign under either name.
            key = public_key_bytes(signer)
            if key in keys:
                raise InvalidInput("expected a key of each organisation, got one twice", rule="same-key")
            keys.add(key)
    with Step(STEP, "/endorsements"):
        if len(found) < roots.quorum:
            raise InvalidInput(
                f"expected endorsements by {roots.quorum} pinned organisations, got {len(found)}",
                rule="no-quorum",
            )
    return tuple(sorted(found))


def _endorser(data: bytes) -> tuple[str, bytes]:
    """The MSP id and certificate (PEM) of an endorser."""
    read = parse_message(data, "msp.SerializedIdentity", {1: _BYTES, 2: _BYTES})
    return read.text(1), read.data(2)


def _of_transaction(payload: bytes) -> UnverifiedReceipt:
    """The parts of an endorsed transaction with one action, as a peer's gateway puts it together."""
    outer = parse_message(payload, "common.Payload", {1: _MESSAGE, 2: _BYTES})
    header = parse_message(outer.data(1), "common.Header", {1: _BYTES, 2: _BYTES})
    actions = parse_message(outer.data(2), "protos.Transaction", {1: _REPEATED}).each(1)
    if len(actions) != 1:
        raise InvalidInput(f"expected a transaction with one action, got {len(actions)}", rule="bad-receipt")
    action = parse_message(actions[0], "protos.TransactionAction", {1: _BYTES, 2: _BYTES})
    inner = parse_message(action.data(2), "protos.ChaincodeActionPayload", {1: _BYTES, 2: _MESSAGE})
    visible = parse_message(inner.data(1), "protos.ChaincodeProposalPayload", {1: _BYTES})
    endorsed = parse_message(inner.data(2), "protos.ChaincodeEndorsedAction", {1: _BYTES, 2: _REPEATED})
    endorsements = [
        parse_message(each, "protos.Endorsement", {1: _BYTES, 2: _BYTES}) for each in endorsed.each(2)
    ]
    return UnverifiedReceipt(
        header.data(1),
        header.data(2),
        visible.data(1),
        endorsed.data(1),
        tuple([Endorsement(each.data(1), each.data(2)) for each in endorsements]),
    )
