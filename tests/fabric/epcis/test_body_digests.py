from __future__ import annotations

from typing import Any

from hypothesis import given

from fabric.epcis.identity import BodyDigests, body_digest
from ledger.canonical import canonical
from ledger.commitment import Committer
from tests.ledger.strategies import records, texts

CONTEXT = [{"url": "https://example.org/c", "sha256": None}, {"ex": "https://example.org/"}]


@given(records(), texts)
def test_digests_from_committed_bytes_are_those_of_the_records(record: dict[str, Any], time: str) -> None:
    digest_of, committer = BodyDigests(), Committer()
    for value in (record, {**record, "recordTime": time}, {**record, "": 1}, {**record, "!": [1, 2]}):
        whole = {**value, "@context": CONTEXT}
        committed = committer(whole, bytes(32))
        assert committed.body == canonical(whole)
        assert digest_of(whole, committed) == body_digest(whole)
