"""What a node is told from outside: flags, then `LOOMARK_*`, then `DIR/node.toml`.

Read once, by the command line, into one frozen value that is passed down; nothing else reads the environment.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from ledger.errors import InvalidInput

FILE_NAME = "node.toml"
_PREFIX = "LOOMARK_"


@dataclass(frozen=True)
class Settings:
    """One node's configuration.

    `witness_policy` is the file of a tlog-policy whose witnesses are asked; `witness_require` publishes nothing without
    their quorum. Sizes are bytes, times seconds. `high_water` is the file that remembers what was signed; in the folder by default.
    `operator_key` and `database` are secrets and never written to `node.toml`; `database` is a URL of SQLite or
    PostgreSQL, SQLite in the folder by default. `database_file` names a file that holds that URL.
    `query_budget_events` is how many events one question may read to decide which it is about.
    `page_limit` is how much one page of the EPCIS interface has at most, whatever `perPage` says.
    `subscription_destinations` are the hosts, addresses and networks, by commas, to which subscriptions may deliver beside
    the public internet over https; an attempt takes at most `subscription_timeout_s`, the second comes after about
    `subscription_retry_s`, and after `subscription_attempts` in a row a subscription is given up until it is resumed.
    `resolver_root` is the address at which labels with Digital Links reach this node, such as `https://id.example.com`; by default
    the one that a request names.
    The last five say where the node's keys come from besides its folder (docs/operating.md, "Keys"); all but
    `key_passphrase_file` are secrets.

    `hyperledger` is the profile of a Hyperledger Fabric channel on which the log is anchored (docs/operating.md).
    `log_minimum_index` is the tlog-tiles minimum index: entry bundles wholly below it are refused; above 0 only with a
    written retention policy (docs/operating.md).
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    origin: str = "loomark.local/log"
    database: str | None = field(default=None, repr=False)
    database_file: str | None = None
    high_water: str | None = None
    operator_key: str | None = field(default=None, repr=False)
    witness_policy: str | None = None
    witness_require: bool = False
    witness_timeout_s: float = 5.0
    prepare_processes: int = 0
    capture_limit_bytes: int = 32 * 1024 * 1024
    capture_limit_events: int = 10_000
    request_timeout_s: float = 60.0
    session_life_s: int = 8 * 3600
    page_limit: int = 1000
    query_budget_s: float = 10.0
    query_budget_events: int = 20_000
    page_token_life_s: int = 3600
    uri_limit_bytes: int = 16 * 1024
    trace_budget_nodes: int = 1_000_000
    trace_budget_s: float = 20.0
    secure_cookies: bool = False
    log_minimum_index: int = 0
    subscription_destinations: str | None = None
    subscription_timeout_s: float = 30.0
    subscription_retry_s: float = 1.0
    subscription_attempts: int = 24
    resolver_root: str | None = None
    hyperledger: str | None = None
    log_key: str | None = field(default=None, repr=False)
    next_log_key: str | None = field(default=None, repr=False)
    operator_signing_key: str | None = field(default=None, repr=False)
    key_passphrase: str | None = field(default=None, repr=False)
    key_passphrase_file: str | None = None

    @property
    def high_water_file(self) -> Path | None:
        """Where `high_water` lies; a relative path starts at the data folder, wherever the node is started from."""
        return None if self.high_water is None else self.data / self.high_water


# A database URL may hold a password.
_SECRET = frozenset(
    {"operator_key", "database", "log_key", "next_log_key", "operator_signing_key", "key_passphrase"}
)
_TYPES = get_type_hints(Settings)
_ROOT = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+/?")
_DATABASE = re.compile(r"(sqlite|postgresql)(\+[a-z]+)?:")


def load_settings(data: Path, flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings of the node in folder `data`; a flag that is None was not given.

    Raises InvalidInput that names the setting and where it came from.
    """
    values: dict[str, Any] = {}
    for source, found in (
        (FILE_NAME, _from_file(data / FILE_NAME)),
        ("environment", _from_environment(environment)),
        ("flags", {name: value for name, value in flags.items() if value is not None}),
    ):
        for name, value in found.items():
            values[name] = _typed(name, value, source)
    if values.get("database") is None and values.get("database_file") is not None:
        values["database"] = _database_in(Path(values["database_file"]))
    database = values.get("database")
    if database is not None and not _DATABASE.match(database):
        raise InvalidInput(
            "setting database: expected a URL of sqlite or postgresql, got another text", rule="bad-setting"
        )
    root = values.get("resolver_root")
    if root is not None and not _ROOT.fullmatch(root):
        raise InvalidInput(
            f"setting resolver_root: expected an address such as https://id.example.com, got {root[:80]}",
            rule="bad-setting",
        )
    return Settings(data=data, **values)


def _database_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"setting database_file: expected a file with a database URL, cannot read {path}",
            rule="bad-setting",
        ) from error


def write_settings(settings: Settings) -> None:
    """Write `node.toml` for people to read, unless it is there: whatever is in force, wherever it came from.

    Secrets stay out. Later starts never change the file: it is the operator's (:func:`not_in_file`).
    """
    path = settings.data / FILE_NAME
    if path.exists():
        return
    lines = ["# Written at first start. Flags and LOOMARK_* variables go before what stands here."]
    lines += [f"{name} = {_toml(value)}" for name, value in _told(settings).items() if value is not None]
    # In one step: a part of it would be read as other settings at the next start.
    fresh = path.with_name(f"{path.name}.partial")
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(path)


def not_in_file(settings: Settings) -> list[str]:
    """The settings in force that a start by `node.toml` alone would not have: a backup does not hold them."""
    by_file = _told(load_settings(settings.data, {}, {}))
    return [f"{name} = {_toml(value)}" for name, value in _told(settings).items() if value != by_file[name]]


def _told(settings: Settings) -> dict[str, Any]:
    """What stands in the file: everything but the folder itself and secrets."""
    names = [one.name for one in fields(Settings) if one.name != "data" and one.name not in _SECRET]
    return {name: getattr(settings, name) for name in names}


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name} is not TOML: {error}", rule="bad-setting") from error
    unknown = sorted(set(found) - (set(_TYPES) - _SECRET - {"data"}))
    if unknown:
        raise InvalidInput(f"{path.name} has unknown settings: {', '.join(unknown)}", rule="bad-setting")
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = (name for name in _TYPES if name != "data")
    return {
        name: environment[_PREFIX + name.upper()] for name in names if environment.get(_PREFIX + name.upper())
    }


def _typed(name: str, value: Any, source: str) -> Any:
    kind = _TYPES[name]
    try:
        if kind is bool and isinstance(value, str):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        if kind in (int, float, str, bool):
            return kind(value)
        if not isinstance(value, str):
            raise ValueError("only text can be left out")
    except (ValueError, KeyError) as error:
        raise InvalidInput(
            f"setting {name} from {source}: expected {getattr(kind, '__name__', 'str')}", rule="bad-setting"
        ) from error
    return value
