"""The witnesses of a node: a policy file of the operator's, read at start, and whoever asks them for cosignatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import InvalidInput
from ledger.log.cosign import TIMEOUT_S, Witnesses
from ledger.note import VerifierKey
from ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy

POLICY_FILE: Final = "witnesses.policy"


@dataclass(frozen=True)
class WitnessSettings:
    """Where the node's witness policy is, and what happens without its quorum.

    `policy` None means `witnesses.policy` in the folder, where there is one. With `require` nothing is published without the
    quorum; `timeout_s` bounds how long one publication waits for witnesses.
    """

    policy: Path | None = None
    require: bool = False
    timeout_s: float = TIMEOUT_S


def open_witnesses(
    settings: WitnessSettings, data: Path, origin: str, log_keys: Callable[[], Sequence[VerifierKey]]
) -> Witnesses | None:
    """The witnesses of a node's policy, None where it has no policy. Raises InvalidInput (rule `bad-policy`)."""
    path = settings.policy or data / POLICY_FILE
    if settings.policy is None and not path.exists():
        if settings.require:
            raise InvalidInput(
                f"expected a policy at {path}, because witnesses are required", rule="bad-policy"
            )
        return None
    policy = node_policy(_text(path), log_keys())
    if settings.require and policy.quorum is None:
        raise InvalidInput("expected a quorum, because witnesses are required; got none", rule="bad-policy")
    return Witnesses(
        policy,
        origin,
        log_keys,
        require=settings.require,
        timeout_s=settings.timeout_s,
    )


def node_policy(text: str, log_keys: Sequence[VerifierKey]) -> Policy:
    """The policy that an operator wrote, of this log alone; its `log` lines may be left out."""
    own = "".join([f"log {key.text()}\n" for key in log_keys])
    stated = [line for line in text.split("\n") if line.split()[:1] != ["log"]]
    return parse_policy(own + "\n".join(stated))


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[: MAX_POLICY_BYTES + 1].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the policy at {path}: {error}", rule="bad-policy") from error
