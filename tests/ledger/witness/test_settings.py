from __future__ import annotations

import pytest

from ledger.errors import InvalidInput
from ledger.note import COSIGNATURE, VerifierKey
from ledger.witness.settings import (
    FollowedLog,
    WitnessSettings,
    log_of,
    parse_settings,
    settings_text,
    with_logs,
    witness_name,
)

from .logs import ORIGIN, MemoryLog, key_of

FIRST, SECOND = MemoryLog().vkey, MemoryLog(key=key_of("second")).vkey


def test_settings_are_read_back_as_they_were_written() -> None:
    settings = WitnessSettings(
        "witness.example/one",
        (
            FollowedLog(ORIGIN, (FIRST, SECOND), "https://log.example/log", 'key "of" \\ log'),
            FollowedLog("other.example", (MemoryLog(key=key_of("third")).vkey,)),
        ),
    )
    assert parse_settings(settings_text(settings)) == settings
    assert parse_settings("") == WitnessSettings()


def test_a_second_key_of_an_origin_is_added_to_it() -> None:
    settings = with_logs(WitnessSettings(), [log_of([FIRST.text()], url="http://a")])
    settings = with_logs(settings, [log_of([SECOND.text()]), log_of([FIRST.text()], url="http://b")])
    assert settings.logs == (FollowedLog(ORIGIN, (FIRST, SECOND), "http://b"),)


@pytest.mark.parametrize(
    "text",
    [
        "name = 3",
        'name = "with space"',
        'name = "a+b"',
        "log = 3",
        "[[log]]",
        "[[log]]\nvkey = 3",
        '[[log]]\nvkey = "nonsense"',
        "[[log]]\nvkey = []",
        f'[[log]]\nvkey = "{FIRST.text()}"\nurl = 3',
        f'[[log]]\nvkey = "{FIRST.text()}"\nunknown = 3',
        f'[[log]]\nvkey = ["{FIRST.text()}", "{MemoryLog(origin="b.example").vkey.text()}"]',
        f'[[log]]\nvkey = "{VerifierKey("w", COSIGNATURE, FIRST.public).text()}"',
        "unknown = 1",
        "= =",
    ],
)
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_settings(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "x" * 201, "a\u00a0b"])
def test_a_name_that_no_vkey_can_carry_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        witness_name(name)
