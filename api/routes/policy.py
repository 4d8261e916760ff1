"""`/api/policy`: the trust policy of this log, for verifiers to pin."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response

from fabric.capture.node import Node
from ledger.errors import Unavailable
from ledger.hyperledger.anchor.quorum import POLICY_FILE, joined_policy
from ledger.hyperledger.anchor.status import FOLDER
from ledger.policy import parse_policy, policy_text

from .asking import Serving

router = APIRouter(prefix="/api", tags=["log"])


@router.get("/policy", summary="Trust policy of this log", response_class=Response)
def policy(serving: Serving) -> Response:
    """C2SP tlog-policy text: the log's keys, its witnesses, the quorum. Compare it with one from another source.

    Where the log is anchored, its witnesses include the channel's organisations; 503 until enough of them are known: a
    policy without them would ask for less than it will.
    """
    if serving.node.log.anchors and _organisations(serving.node) is None:
        raise Unavailable(
            "expected the organisations of the channel, which the anchor has not learnt yet; try again"
        )
    return Response(policy_of(serving.node), media_type="text/plain; charset=utf-8")


def policy_of(node: Node) -> str:
    """The policy that a node gives to those who verify."""
    organisations = _organisations(node)
    if organisations is not None:
        witnesses = None if node.witnesses is None else node.witnesses.policy
        return joined_policy([one.vkey for one in node.log_keys], organisations, witnesses)
    text = policy_text([one.vkey for one in node.log_keys])
    if node.witnesses is not None:
        text = replace(node.witnesses.policy, logs=parse_policy(text).logs).text()
    return text


def _organisations(node: Node) -> str | None:
    """The channel's organisations as lines of a policy, None where the log is not anchored or they are not known."""
    path = node.folder / FOLDER / POLICY_FILE
    return path.read_text(encoding="utf-8") if node.log.anchors and path.exists() else None
