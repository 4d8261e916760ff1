"""Flags go before variables, variables before the file; what is wrong is named with where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import FILE_NAME, Settings, load_settings, not_in_file, write_settings
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
        ("", {"LOOMARK_DATABASE": "mysql://user:hidden@db.example/loomark"}),
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


def test_a_database_url_comes_from_the_environment_or_a_file_and_is_never_shown(tmp_path: Path) -> None:
    url = "postgresql://loomark:hidden@db.example/loomark"
    told = load_settings(tmp_path, {}, {"LOOMARK_DATABASE": url})
    assert (told.database, told.database_file) == (url, None)
    secret = tmp_path / "database-url"
    secret.write_text(url + "\n")
    read = load_settings(tmp_path, {}, {"LOOMARK_DATABASE_FILE": str(secret)})
    assert read.database == url
    for settings in (told, read):
        assert "hidden" not in repr(settings)
        write_settings(settings)
        assert "hidden" not in (tmp_path / FILE_NAME).read_text()
        (tmp_path / FILE_NAME).unlink()


@pytest.mark.parametrize("content", [None, b"", b"mysql://user:hidden@db.example/loomark", b"\xff"])
def test_a_file_without_a_database_url_is_refused_without_showing_it(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "database-url"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as refusal:
        load_settings(tmp_path, {}, {"LOOMARK_DATABASE_FILE": str(path)})
    assert refusal.value.rule == "bad-setting"
    assert "hidden" not in str(refusal.value)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_relative_high_water_file_lies_beside_the_data_wherever_the_node_is_started(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('high_water = "../marks/high-water"\n')
    settings = load_settings(tmp_path, {}, {})
    assert settings.high_water_file == tmp_path / "../marks/high-water"
    assert load_settings(tmp_path, {}, {"LOOMARK_HIGH_WATER": "/marks/one"}).high_water_file == Path(
        "/marks/one"
    )
    assert load_settings(tmp_path / "other", {}, {}).high_water_file is None


def test_a_high_water_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("high_water = 7\n")
    with pytest.raises(InvalidInput, match=r"setting high_water from node\.toml"):
        load_settings(tmp_path, {}, {})


def test_the_first_start_writes_what_was_in_force_wherever_it_came_from(tmp_path: Path) -> None:
    environment = {"LOOMARK_WITNESS_REQUIRE": "true", "LOOMARK_OPERATOR_KEY": "k" * 40}
    settings = load_settings(tmp_path, {"port": 9}, environment)
    write_settings(settings)
    assert not_in_file(settings) == []
    alone = load_settings(tmp_path, {}, {})
    assert (alone.witness_require, alone.port, alone.operator_key) == (True, 9, None)


def test_what_only_a_later_start_was_told_is_named_and_not_written(tmp_path: Path) -> None:
    write_settings(load_settings(tmp_path, {}, {}))
    before = (tmp_path / FILE_NAME).read_text()
    environment = {
        "LOOMARK_WITNESS_REQUIRE": "true",
        "LOOMARK_HIGH_WATER": "/marks/one",
        "LOOMARK_OPERATOR_KEY": "k" * 40,
    }
    settings = load_settings(tmp_path, {}, environment)
    write_settings(settings)
    missing = not_in_file(settings)
    assert missing == ['high_water = "/marks/one"', "witness_require = true"]
    assert (tmp_path / FILE_NAME).read_text() == before
    (tmp_path / FILE_NAME).write_text("\n".join(missing))
    assert not_in_file(settings) == []
