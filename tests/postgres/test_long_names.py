"""The longest names that are taken fit the indices of a server: no capture can stop those that come after it."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis.identifiers import LONGEST_BYTES
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
