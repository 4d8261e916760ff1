"""What was stated, by whom, in which order, and the proof of it.

This package exports only its pure heart: commitments, statements, seals, the Merkle tree, notes, policies and the
verification of proofs. Bytes go in; a verified object or one error type comes out. There is no clock, no
I/O, no SQL and no HTTP in it, and the base install is all it needs. The shell is imported by name: ``ledger.log``
writes the log, ``ledger.keyfile`` reads and writes key files, ``ledger.signer`` signs through programs. What records
mean is the data fabric's to say.

::

    from ledger import Verifier, parse_bundle, parse_policy

    verified = Verifier(parse_policy(policy_text)).verify(parse_bundle(data))
    print(verified.member, verified.index, verified.record)

Functions that share their module's name (``canonical``, ``verify``) are imported from it, so that neither hides the
other.
"""

from __future__ import annotations

from .bundle import (
    BundleBuilder,
    Included,
    ProofParts,
    UnverifiedBundle,
    build_bundle,
    bundle_of,
    parse_bundle,
)
from .canonical import JSON, parse_json
from .capture import capture_commitment, capture_path, verify_position
from .checkpoint import Checkpoint, checkpoint_of, parse_checkpoint, sign_checkpoint
from .commitment import commitment_nodes, record_commitment
from .disclosure import OpenedRecord, covering_pointer, disclose, open_disclosure
from .ed25519 import Signer, SigningKey, admit_public_key, key_id, possession_line
from .entry import is_seal, parse_entry
from .errors import (
    Conflict,
    Finding,
    Forbidden,
    InvalidInput,
    LoomarkError,
    NotFound,
    TooLarge,
    Unavailable,
    VerificationError,
)
from .identifier import Identifier
from .key_change import UnverifiedChange, evidence_bytes, extended_policy, parse_evidence, verify_change
from .key_record import KeyRecord
from .log_key import Announcement, LogKey, announce, signing_keys, verify_announcement
from .membership import Charter, Grant, Member
from .merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from .misbehaviour import Misbehaviour, parse_misbehaviour, verify_misbehaviour
from .note import (
    Note,
    SignatureLine,
    VerifiedSignature,
    VerifierKey,
    cosign,
    cosign_ml_dsa,
    parse_note,
    parse_vkey,
    verify_note,
)
from .policy import Policy, parse_policy, policy_text
from .registry import Authority, Registry, Void
from .replay import Replay, Sealed
from .seal import Seal, parse_seal, seal_bytes
from .statement import (
    DEFAULT_SIGNATURES,
    Statement,
    UnverifiedEnvelope,
    parse_envelope,
    parse_statement,
    payload_bytes,
    sign_statement,
)
from .submission import (
    Submission,
    build_submission,
    capture_statement,
    parse_submission,
    submission_bytes,
    verify_submission,
)
from .tlog_proof import TlogProof, VerifiedEntry, parse_tlog_proof, verify_tlog_proof
from .verify import STEPS, StepResult, VerifiedBundle, Verifier, verify_all

__all__ = [
    "DEFAULT_SIGNATURES",
    "EMPTY_ROOT",
    "JSON",
    "STEPS",
    "Announcement",
    "Authority",
    "BundleBuilder",
    "Charter",
    "Checkpoint",
    "Conflict",
    "Finding",
    "Forbidden",
    "Frontier",
    "Grant",
    "Identifier",
    "Included",
    "InvalidInput",
    "KeyRecord",
    "LogKey",
    "LoomarkError",
    "Member",
    "Misbehaviour",
    "NotFound",
    "Note",
    "OpenedRecord",
    "Policy",
    "ProofParts",
    "Registry",
    "Replay",
    "Seal",
    "Sealed",
    "SignatureLine",
    "Signer",
    "SigningKey",
    "Statement",
    "StepResult",
    "Submission",
    "TlogProof",
    "TooLarge",
    "Unavailable",
    "UnverifiedBundle",
    "UnverifiedChange",
    "UnverifiedEnvelope",
    "VerificationError",
    "VerifiedBundle",
    "VerifiedEntry",
    "VerifiedSignature",
    "Verifier",
    "VerifierKey",
    "Void",
    "admit_public_key",
    "announce",
    "build_bundle",
    "build_submission",
    "bundle_of",
    "capture_commitment",
    "capture_path",
    "capture_statement",
    "checkpoint_of",
    "commitment_nodes",
    "cosign",
    "cosign_ml_dsa",
    "covering_pointer",
    "disclose",
    "evidence_bytes",
    "extended_policy",
    "is_seal",
    "key_id",
    "leaf_hash",
    "node_hash",
    "open_disclosure",
    "parse_bundle",
    "parse_checkpoint",
    "parse_entry",
    "parse_envelope",
    "parse_evidence",
    "parse_json",
    "parse_misbehaviour",
    "parse_note",
    "parse_policy",
    "parse_seal",
    "parse_statement",
    "parse_submission",
    "parse_tlog_proof",
    "parse_vkey",
    "payload_bytes",
    "policy_text",
    "possession_line",
    "record_commitment",
    "seal_bytes",
    "sign_checkpoint",
    "sign_statement",
    "signing_keys",
    "submission_bytes",
    "verify_all",
    "verify_announcement",
    "verify_change",
    "verify_misbehaviour",
    "verify_note",
    "verify_position",
    "verify_submission",
    "verify_tlog_proof",
]
