"""`/api/policy`: the trust policy of this log, for verifiers to pin."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response

from fabric.capture.node import Node
from ledger.policy import parse_policy, policy_text

from .asking import Serving

router = APIRouter(prefix="/api", tags=["log"])


@router.get("/policy", summary="Trust policy of this log", response_class=Response)
def policy(serving: Serving) -> Response:
    """C2SP tlog-policy text: the log's keys, its witnesses, the quorum. Compare it with one from another source."""
    return Response(policy_of(serving.node), media_type="text/plain; charset=utf-8")


def policy_of(node: Node) -> str:
    """The policy that a node gives to those who verify."""
    text = policy_text([one.vkey for one in node.log_keys])
    if node.witnesses is not None:
        text = replace(node.witnesses.policy, logs=parse_policy(text).logs).text()
    return text
