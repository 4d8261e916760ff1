from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .mutation import hostile_bytes
from .targets import TARGETS, samples, survives

EXAMPLES = 60
LONG = 2_000
NOT_ACCEPTED_AS_THEY_ARE = {"replay", "authority"}
"""Targets some of whose samples are refused further on; the parser under them has taken them by then."""


@pytest.mark.parametrize("name", TARGETS)
def test_samples_are_taken_so_that_changes_of_them_go_deep(name: str) -> None:
    verdicts = {survives(name, seed) for seed in samples(name)}
    if name not in NOT_ACCEPTED_AS_THEY_ARE:
        assert verdicts == {"accepted"}


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_is_read_raises_verdicts_only(name: str, data: st.DataObject) -> None:
    survives(name, data.draw(hostile_bytes(samples(name))))


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=LONG, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_read_raises_verdicts_only_at_length(name: str, data: st.DataObject) -> None:
    survives(name, data.draw(hostile_bytes(samples(name))))


def test_the_keys_of_targets_are_the_parsers_that_a_stranger_can_reach() -> None:
    """A parser that is added without a target shows here: each public `parse_*` of the heart is named by one."""
    import ledger

    parsers = {name for name in ledger.__all__ if name.startswith("parse_")}
    covered = {"parse_" + name.replace("-", "_") for name in TARGETS}
    assert parsers - covered <= {"parse_json"}
