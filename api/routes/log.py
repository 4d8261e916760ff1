"""`/log/`: checkpoint, key and tiles as C2SP tlog-tiles serves them.

Checkpoint, vkey and hash tiles are public. Entry bundles are for members, witnesses and auditors, unless the
charter opened them.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.services import Services
from ledger.errors import Erased, NotFound, Unavailable
from ledger.key_change import evidence_bytes
from ledger.tile import TILE_WIDTH, Tile, parse_tile_path

from .asking import Serving

router = APIRouter(prefix="/log", tags=["log"])

_IMMUTABLE = {"Cache-Control": "public, max-age=604800, immutable"}
_FRESH = {"Cache-Control": "public, max-age=2"}


@router.get("/checkpoint", summary="The newest signed checkpoint", response_class=Response)
def checkpoint(serving: Serving) -> Response:
    """A C2SP tlog-checkpoint: origin, tree size and root, signed by the log."""
    note = serving.node.log.published().note
    return Response(note, media_type="text/plain; charset=utf-8", headers=_FRESH)


@router.get(
    "/anchored",
    summary="The newest checkpoint that the channel's organisations cosigned",
    response_class=Response,
)
def anchored(serving: Serving) -> Response:
    """A checkpoint with the organisations' lines under it: docs/spec/anchor.md. 404 where there is none."""
    found = serving.node.log.anchored()
    if found is None:
        raise NotFound("no checkpoint of this log has the organisations' quorum", rule="not-anchored")
    return Response(found.note, media_type="text/plain; charset=utf-8", headers=_FRESH)


@router.get("/vkey", summary="The log's verifier keys", response_class=Response)
def vkey(serving: Serving) -> Response:
    """The keys that the log has had, newest first, each a C2SP vkey line. Compare with what you got elsewhere."""
    lines = [f"{one.vkey.text()}\n" for one in reversed(serving.node.log_keys)]
    return Response("".join(lines), media_type="text/plain; charset=utf-8")


@router.get("/key-changes", summary="Evidence of each change of the log's key", response_class=Response)
def key_changes(serving: Serving) -> Response:
    """What leads a verifier from an old key to the newest, offline: docs/spec/log.md, "Changing the log's key"."""
    return Response(evidence_bytes(serving.node.log.key_changes()), media_type="application/json")


@router.get("/tile/{path:path}", summary="A tile of hashes, or a bundle of entries", response_class=Response)
def tile(path: str, request: Request, serving: Serving) -> Response:
    """`<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`, immutable. 404 where the checkpoint implies no such tile; 410 for an
    entry bundle that lies wholly below the minimum index."""
    asked = parse_tile_path(path)
    headers = _IMMUTABLE
    if asked.level == "entries" and not _bundles_are_public(serving):
        serving.authenticator.caller(request)
        headers = {"Cache-Control": "private, max-age=604800, immutable"}
    if asked.level == "entries" and _is_pruned(asked, serving.settings.log_minimum_index):
        raise Erased(
            f"expected a bundle that ends above the minimum index {serving.settings.log_minimum_index},"
            " got one below it; hash tiles are served",
            rule="pruned",
        )
    data = serving.node.log.tile(asked)
    if data is None:
        raise NotFound("the checkpoint implies no such tile", rule="no-tile")
    return Response(data, media_type="application/octet-stream", headers=headers)


def _is_pruned(asked: Tile, minimum: int) -> bool:
    """Whether a bundle ends at or below the minimum index (C2SP tlog-tiles, "Pruning"); hash tiles are never pruned."""
    return TILE_WIDTH * asked.index + asked.width <= minimum


def _bundles_are_public(serving: Services) -> bool:
    try:
        charter = serving.node.log.registry().charter
    except Unavailable:
        # Before the first checkpoint there is no charter that opened anything.
        return False
    return charter is not None and charter.bundles == "public"
