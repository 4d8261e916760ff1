"""What is taken fits the indices of a server, however long names are, or many: no capture stops those after it."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis.identifiers import LONGEST_BYTES
from fabric.visibility.classes import Classes
from ledger.errors import InvalidInput
from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("consortia_on_postgres")
FIELDS = ("epcList", "bizStep", "disposition", "eventID")


def name(rng: random.Random, size_bytes: int) -> str:
    """A name that no server can compress."""
    letters = rng.choices(string.ascii_letters + string.digits, k=size_bytes)
    return "urn:example:" + "".join(letters)[12:]


def test_a_name_of_any_length_is_refused_or_sequenced_and_the_next_capture_as_well(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    with Simulator(tmp_path / "node") as sim:
        sim.admit("farm")
        for field in FIELDS:
            for size_bytes in (LONGEST_BYTES, LONGEST_BYTES + 1, 9_000):
                text = name(rng, size_bytes)
                fields: dict[str, Any] = {field: [text] if field == "epcList" else text}
                event = sim.event(**({"epcList": ["urn:example:a"]} | fields))
                if size_bytes > LONGEST_BYTES:
                    with pytest.raises(InvalidInput, match="a name of at most 2048 bytes"):
                        sim.capture("farm", [event])
                else:
                    assert sim.capture("farm", [event]).state == "sequenced"
        assert sim.capture("farm", [sim.event(epcList=["urn:example:b"])]).state == "sequenced"


def test_a_record_may_be_seen_by_hundreds_of_members(tmp_path: Path) -> None:
    seers = frozenset(f"member-{number:050d}" for number in range(300))
    with Simulator(tmp_path / "node") as sim:
        classes = Classes()
        ticket = sim.node.submit(lambda connection: classes.ids(connection, [seers])[seers])
        number = ticket.stored.result(30)
        assert [row[0].split() for row in sim.rows('SELECT members FROM "class" WHERE id = ?', number)] == [
            sorted(seers)
        ]
