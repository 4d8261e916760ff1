"""Submissions: a member-signed capture as it is posted (``application/vnd.loomark.capture.v1+json``).

JSON ``{envelope, captureSalt, recordSalts, contexts, document}``: the signed statement, what opens its
commitment, and the source document in base64. ``contexts`` lists each context URL that the records name as
``{"url", "sha256"}``, the digest being the signer's (null: its meaning is not bound).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import shape
from .canonical import JSON, canonical, parse_json
from .capture import CAPTURE_SALT_SIZE_BYTES, MAX_RECORDS, capture_commitment
from .commitment import RECORD_SALT_SIZE_BYTES, Committed, Committer, record_commitment
from .ed25519 import Signer, key_id
from .errors import InvalidInput
from .statement import (
    Statement,
    UnverifiedEnvelope,
    envelope_of,
    parse_envelope,
    payload_bytes,
    sign_statement,
)

MEDIA_TYPE = "application/vnd.loomark.capture.v1+json"
MAX_CONTEXTS = 256
_MEMBERS = frozenset({"envelope", "captureSalt", "recordSalts", "contexts", "document"})
_CONTEXT = frozenset({"url", "sha256"})


@dataclass(frozen=True, slots=True)
class Submission:
    """A well-formed submission; nothing in it is verified.

    ``record_salts`` has one salt a record in position order; ``contexts`` maps URL to hex digest or None.
    """

    envelope: UnverifiedEnvelope
    capture_salt: bytes
    record_salts: tuple[bytes, ...]
    contexts: Mapping[str, str | None]
    document: bytes


def capture_statement(
    commitment: bytes,
    *,
    key: Signer,
    log: str,
    member: str,
    seen: tuple[int, bytes],
    issued: str,
    statement_id: str,
) -> bytes:
    """The signed envelope of a capture; ``statement_id`` is 32 random hex characters, ``issued`` UTC text."""
    body = {"commitment": commitment.hex()}
    statement = Statement("capture", log, member, key_id(key.public_bytes), statement_id, issued, seen, body)
    return sign_statement(payload_bytes(statement), [key])


def build_submission(
    document: bytes,
    records: Sequence[Mapping[str, JSON]],
    contexts: Mapping[str, str | None],
    *,
    key: Signer,
    log: str,
    member: str,
    seen: tuple[int, bytes],
    issued: str,
    capture_salt: bytes,
    record_salts: Sequence[bytes],
    statement_id: str,
) -> bytes:
    """Commit to ``records`` (position order, the header record first), sign, and give the bytes to post.

    Randomness comes from the caller: 32-byte salts, one a record, and a statement id of 32 hex characters.
    """
    if len(records) != len(record_salts):
        raise InvalidInput("expected one salt a record", rule="bad-salt")
    commitments = [
        record_commitment(record, salt) for record, salt in zip(records, record_salts, strict=True)
    ]
    envelope = capture_statement(
        capture_commitment(capture_salt, commitments),
        key=key,
        log=log,
        member=member,
        seen=seen,
        issued=issued,
        statement_id=statement_id,
    )
    return submission_bytes(
        Submission(parse_envelope(envelope), capture_salt, tuple(record_salts), contexts, document)
    )


def submission_bytes(submission: Submission) -> bytes:
    """The bytes of a submission."""
    return canonical(
        {
            "envelope": parse_json(submission.envelope.data),
            "captureSalt": submission.capture_salt.hex(),
            "recordSalts": [salt.hex() for salt in submission.record_salts],
            "contexts": [{"url": url, "sha256": digest} for url, digest in submission.contexts.items()],
            "document": shape.base64_text(submission.document),
        }
    )


def parse_submission(data: bytes) -> Submission:
    """The submission of these bytes; raises :class:`InvalidInput` and its leaves. The caller bounds the size."""
    obj = shape.members(parse_json(data), "submission", _MEMBERS)
    salts = shape.array(obj["recordSalts"], "recordSalts", 1, MAX_RECORDS)
    with shape.Within("/envelope"):
        envelope = envelope_of(obj["envelope"])
    return Submission(
        envelope,
        shape.hex_bytes(obj["captureSalt"], "captureSalt", CAPTURE_SALT_SIZE_BYTES),
        tuple([shape.hex_bytes(salt, "recordSalts", RECORD_SALT_SIZE_BYTES) for salt in salts]),
        _contexts(obj["contexts"]),
        shape.base64_bytes(obj["document"], "document"),
    )


def verify_submission(submission: Submission, records: Sequence[Mapping[str, JSON]]) -> list[Committed]:
    """The records as committed, checked to be what the statement commits to.

    ``records`` are the records read from the document, in position order. Raises :class:`InvalidInput` with rule
    ``not-a-capture``, ``bad-salt`` (another number of salts than records) or ``capture-commitment``.
    """
    statement = submission.envelope.statement
    if statement.type != "capture":
        raise InvalidInput(
            f"expected a capture statement, got a {statement.type}", rule="not-a-capture", pointer="/envelope"
        )
    if len(records) != len(submission.record_salts):
        got = len(submission.record_salts)
        raise InvalidInput(
            f"expected {len(records)} record salts, one a record, got {got}",
            rule="bad-salt",
            pointer="/recordSalts",
        )
    committer = Committer()
    pairs = zip(records, submission.record_salts, strict=True)
    committed = [committer(record, salt) for record, salt in pairs]
    commitments = [one.commitment for one in committed]
    if capture_commitment(submission.capture_salt, commitments).hex() != statement.body["commitment"]:
        raise InvalidInput(
            "expected the signed capture commitment, got records that give another",
            rule="capture-commitment",
            pointer="/envelope",
        )
    return committed


def _contexts(value: JSON) -> dict[str, str | None]:
    contexts: dict[str, str | None] = {}
    for at, item in enumerate(shape.array(value, "contexts", 0, MAX_CONTEXTS)):
        with shape.Within(f"/contexts/{at}"):
            obj = shape.members(item, "contexts", _CONTEXT)
            url, digest = shape.text(obj["url"], "contexts.url", 2_048), obj["sha256"]
            if url in contexts:
                raise InvalidInput("contexts: expected each URL once", rule="bad-shape", pointer="/url")
            contexts[url] = None if digest is None else shape.hex_text(digest, "contexts.sha256")
    return contexts
