"""`/api/records`: one record as its reader sees it, and the proof of it."""

from __future__ import annotations

import json
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from api.services import Services
from fabric.capture.naming import commitment_named
from fabric.capture.node import Node
from fabric.visibility.reader import Reader
from ledger import tlog_proof
from ledger.errors import InvalidInput

from .asking import Reading, Serving

router = APIRouter(prefix="/api", tags=["records"])


@router.get("/records/{record_id:path}/proof", summary="Proof of a record", response_class=Response)
def proof(
    record_id: str,
    serving: Serving,
    reading: Reading,
    show: Annotated[
        list[str] | None, Query(description="JSON pointer of what is shown; none: everything.")
    ] = None,
    form: Annotated[
        Literal["bundle", "tlog"],
        Query(
            alias="format",
            description="`tlog`: C2SP tlog-proof text of the statement that carries the record.",
        ),
    ] = "bundle",
) -> Response:
    """A proof bundle (`loomark/proof/v1`): with `show` a partial disclosure, else the record in full.

    `format=tlog` gives what any tool for transparency logs reads: that the statement is in the log, and nothing of
    the record. `record_id` is a record's commitment, its IRI, or an event ID; an event ID that several records carry is
    answered with 409 and their list. An erased record is answered with 410 and its tombstone; of one that was erased
    in part everything that stays is shown
    instead of the whole, and the header `Loomark-Erased` lists what is gone. Where the log is anchored, the header
    `Loomark-Checkpoint` says whether the proof is against an `anchored` checkpoint or one only `published`.
    """
    name = _name(serving, record_id, reading)
    if form == "tlog":
        if show:
            raise InvalidInput("expected no pointers: a tlog-proof shows no record", rule="bad-parameter")
        text = serving.node.prover.tlog_proof_for(name, reading)
        headers = {"Content-Disposition": f'attachment; filename="{name[:16]}.tlog-proof"'}
        return Response(text, media_type=tlog_proof.MEDIA_TYPE, headers=headers)
    prover = serving.node.prover
    data = prover.bundle_for(name, reading, show)
    headers = {"Content-Disposition": f'attachment; filename="{name[:16]}.loomark-proof.json"'}
    headers |= told_checkpoint(serving.node, data)
    stone = prover.tombstone(name, reading)
    if stone is not None and stone["units"]:
        headers["Loomark-Erased"] = ",".join(quote(unit, safe="/~") for unit in stone["units"])
    return Response(data, media_type="application/json", headers=headers)


@router.get("/records/{record_id:path}", summary="A record", response_class=Response)
def record(record_id: str, serving: Serving, reading: Reading) -> Response:
    """The committed value of a record as far as its reader sees it, and where it stands in the log.

    `erased` is null, or says what was erased of it and by which statements. A record that was erased as a whole is
    answered with 410 and its tombstone.
    """
    prover = serving.node.prover
    name = _name(serving, record_id, reading)
    found, sight = prover.record(name, reading)
    body = {
        "record": found.commitment.hex(),
        "member": found.capture.member,
        "index": found.capture.idx,
        "position": found.position,
        "custody": "service" if found.capture.custody else "member",
        "sight": sight.value,
        "value": prover.value(name, reading),
        "erased": prover.tombstone(name, reading),
    }
    return Response(json.dumps(body, ensure_ascii=False), media_type="application/json")


def told_checkpoint(node: Node, proof: bytes) -> dict[str, str]:
    """The header that says what a proof is against, where the log is anchored."""
    if not node.log.anchors:
        return {}
    return {"Loomark-Checkpoint": "anchored" if node.prover.is_anchored(proof) else "published"}


def _name(serving: Services, text: str, reader: Reader) -> str:
    return commitment_named(serving.node.reading, text, reader)
