"""Flags go before variables, variables before the file; what is wrong is named with where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import FILE_NAME, Settings, load_settings, write_settings
from ledger.errors import InvalidInput


def test_flags_go_before_variables_and_variables_before_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('port = 1\nhost = "file.example"\norigin = "file.example/log"\n')
    environment = {"LOOMARK_PORT": "2", "LOOMARK_HOST": "variable.example"}
    found = load_settings(tmp_path, {"port": 3, "host": None}, environment)
    assert (found.port, found.host, found.origin) == (3, "variable.example", "file.example/log")


def test_secrets_are_read_from_variables_and_never_written(tmp_path: Path) -> None:
    environment = {"LOOMARK_OPERATOR_KEY": "k" * 40, "LOOMARK_DATABASE": "sqlite:////tmp/with-a-secret.db"}
    settings = load_settings(tmp_path, {}, environment)
    assert (settings.operator_key, settings.database) == tuple(environment.values())
    write_settings(settings)
    text = (tmp_path / FILE_NAME).read_text()
    assert "kkkk" not in text
    assert "with-a-secret" not in text
    assert load_settings(tmp_path, {}, {}) == Settings(tmp_path)


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        ("port = ", {}),
        ("unheard_of = 1", {}),
        ('operator_key = "in a file for people to read"', {}),
        ('port = "many"', {}),
        ("", {"LOOMARK_PORT": "many"}),
        ("", {"LOOMARK_SECURE_COOKIES": "perhaps"}),
        ("", {"LOOMARK_DATABASE": "postgresql://user:hidden@db.example/loomark"}),
    ],
)
def test_what_is_wrong_is_refused_without_showing_a_secret(
    tmp_path: Path, file: str, environment: dict[str, str]
) -> None:
    (tmp_path / FILE_NAME).write_text(file)
    with pytest.raises(InvalidInput) as refusal:
        load_settings(tmp_path, {}, environment)
    assert refusal.value.rule == "bad-setting"
    assert "hidden" not in refusal.value.message
