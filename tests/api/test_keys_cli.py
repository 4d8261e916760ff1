"""Keys from the command line and at a node's start: where they come from, what is refused, and that nothing leaks."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fabric.capture.keyring import KeySources
from fabric.capture.node import NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from ledger import keyfile
from ledger.ed25519 import SigningKey, possession_line
from ledger.errors import Conflict, InvalidInput, LoomarkError, NotFound, Unavailable
from ledger.keyfile import Cost, key_text, read_public_key, write_key_file, write_signer_file

from .test_cli import Run, inside

ROOT = str(Path(__file__).resolve().parents[2])
SEEDS = {name: bytes([number]) * 32 for number, name in enumerate(("log", "operator", "farm", "next"), 41)}
KEYS = {name: SigningKey(seed) for name, seed in SEEDS.items()}
TEXT = {name: base64.b64encode(seed).decode() for name, seed in SEEDS.items()}
PASSPHRASE = "correct horse battery staple"
CHEAP = Cost(1, 8_192)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is encrypted in this process is so at a cost for tests; the served node has the real one."""
    monkeypatch.setattr(keyfile, "DEFAULT_COST", CHEAP)


SIGNS = (
    "import sys; sys.path.insert(0, {root!r}); from ledger.ed25519 import SigningKey; "
    "sys.stdout.buffer.write(SigningKey(bytes([{number}]) * 32).sign(sys.stdin.buffer.read()))"
)


def program(name: str) -> list[str]:
    """A command that signs with a key that no file of ours holds."""
    return [sys.executable, "-c", SIGNS.format(root=ROOT, number=SEEDS[name][0])]


def assert_nothing_leaks(*texts: str) -> None:
    for text in texts:
        assert PASSPHRASE not in text
        for name, seed in SEEDS.items():
            assert TEXT[name] not in text, name
            assert seed.hex() not in text, name


def contents(folder: Path) -> str:
    """All bytes below a folder, as text that any secret would show in."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return "".join([path.read_bytes().decode("latin-1") for path in files])


# -- a node's start ----------------------------------------------------------------------------------------


def start(folder: Path, **sources: Any) -> str:
    """Start a node's core and stop it; gives its vkey."""
    keys = KeySources(**sources)
    with open_node(NodeSettings(folder, keys=keys), preparer=InlinePreparer()) as node:
        return node.vkey


def test_node_keys_come_from_the_environment_and_stay_out_of_the_folder(tmp_path: Path) -> None:
    vkey = start(tmp_path / "n", log=TEXT["log"], operator=key_text(KEYS["operator"]))
    assert base64.b64encode(b"\x01" + KEYS["log"].public_bytes).decode() in vkey
    assert list((tmp_path / "n" / "keys").glob("*.key")) == []
    assert_nothing_leaks(contents(tmp_path / "n"))
    assert start(tmp_path / "n", log=TEXT["log"], operator=TEXT["operator"]) == vkey


def test_with_a_passphrase_the_keys_that_a_node_makes_are_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "n"
    vkey = start(folder, passphrase=PASSPHRASE.encode())
    files = sorted((folder / "keys").glob("*.key"))
    assert [path.name for path in files] == ["log.key", "operator.key"]
    salts = {path.read_text().split("\n")[3] for path in files}
    assert len(salts) == 1, "one passphrase is worked on once for all of them"
    assert all(path.read_text().startswith("loomark/encrypted-key/v1\n") for path in files)
    assert_nothing_leaks(contents(folder))
    assert start(folder, passphrase=PASSPHRASE.encode()) == vkey
    for wrong, rule in ((b"wrong", "bad-passphrase"), (None, "no-passphrase")):
        with pytest.raises(InvalidInput) as caught:
            start(folder, passphrase=wrong)
        assert caught.value.rule == rule
    assert start(folder, passphrase=PASSPHRASE.encode()) == vkey


def test_the_logs_key_may_be_with_a_program(tmp_path: Path) -> None:
    keys = tmp_path / "n" / "keys"
    keys.mkdir(parents=True)
    write_signer_file(keys / "log.key", KEYS["log"].public_bytes, program("log"), 20)
    vkey = start(tmp_path / "n")
    assert base64.b64encode(b"\x01" + KEYS["log"].public_bytes).decode() in vkey
    assert start(tmp_path / "n") == vkey


def test_a_start_refuses_bad_keys_with_what_to_do_and_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    vkey = start(folder)
    log = folder / "keys" / "log.key"
    held = log.read_bytes()

    def refused(kind: type[LoomarkError], words: str, **sources: Any) -> None:
        with pytest.raises(kind, match=words) as caught:
            start(folder, **sources)
        assert_nothing_leaks(str(caught.value))
        assert base64.b64encode(SigningKey.from_bytes(_seed(held)).seed_bytes()).decode() not in str(
            caught.value
        )

    log.chmod(0o640)
    refused(InvalidInput, f"chmod 600 {log}")
    log.chmod(0o600)
    refused(InvalidInput, "LOOMARK_LOG_KEY", log="not a key")
    refused(InvalidInput, "LOOMARK_LOG_KEY", log="loomark/key/v1\nkeyid 00\nseed x")
    same = (folder / "keys" / "operator.key").read_text()
    refused(Conflict, "different keys for log and operator", next_log=same)
    log.rename(folder / "kept")
    refused(NotFound, "put it back from its backup")
    assert not log.exists(), "no other key takes the place of a log's"
    refused(NotFound, "LOOMARK_LOG_KEY", log=TEXT["log"])
    log.write_bytes(b"loomark/key/v1\n")
    log.chmod(0o600)
    refused(InvalidInput, "log.key, got something else")
    log.unlink()
    write_signer_file(log, _key(held).public_bytes, ["/nowhere/signer"], 5)
    refused(Unavailable, "/nowhere/signer")
    log.unlink()
    (folder / "kept").rename(log)
    assert start(folder) == vkey


def _key(text: bytes) -> SigningKey:
    return SigningKey(_seed(text))


def _seed(text: bytes) -> bytes:
    return base64.b64decode(text.decode().split("\n")[2].removeprefix("seed "))


def test_a_first_start_with_one_key_for_two_uses_is_refused_before_anything_is_signed(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="different keys for log and operator"):
        start(tmp_path / "n", log=TEXT["log"], operator=TEXT["log"])
    assert not (tmp_path / "n" / "log").exists()
    assert not (tmp_path / "n" / "loomark.db").exists()


# -- a served node and its people ------------------------------------------------------------------------------


@dataclass
class Served:
    """A served node whose secrets come by environment, and the API keys of its people."""

    folder: Path
    process: subprocess.Popen[str]
    url: str
    log: Path
    keys: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, key: str = "operator", **environment: str) -> Run:
        told = {"LOOMARK_URL": self.url, "LOOMARK_API_KEY": self.keys[key], "HOME": str(self.folder)}
        return inside(*arguments, **(told | environment))

    def json(self, *arguments: str, key: str = "operator", **environment: str) -> Any:
        done = self.run(*arguments, "--json", key=key, **environment)
        assert done.code == 0, done
        return json.loads(done.out)

    def document(self, name: str) -> str:
        event = {
            "type": "ObjectEvent",
            "eventTime": "2026-05-01T08:00:00Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "epcList": [f"https://id.gs1.org/01/09506000134352/21/{name}"],
        }
        value = {
            "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-05-02T00:00:00Z",
            "epcisBody": {"eventList": [event]},
        }
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(value))
        return str(path)

    def proof(self, job: dict[str, Any], name: str, key: str = "farm") -> Path:
        path = self.folder / name
        assert self.run("prove", job["records"][-1]["record"], "-o", str(path), key=key).code == 0
        return path


SECRETS = {
    "LOOMARK_LOG_KEY": TEXT["log"],
    "LOOMARK_OPERATOR_SIGNING_KEY": TEXT["operator"],
    "LOOMARK_NEXT_LOG_KEY": TEXT["next"],
    "LOOMARK_KEY_PASSPHRASE": PASSPHRASE,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("keys")
    around = {name: value for name, value in os.environ.items() if not name.startswith("LOOMARK_")}
    log = folder / "stderr"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve", "--data", str(folder / "node"), "--port", "0"],
            env=around | SECRETS,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )
    try:
        yield _ready(folder, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def _ready(folder: Path, process: subprocess.Popen[str], log: Path) -> Served:
    assert process.stdout is not None
    found = Served(folder, process, "", log)
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("LOOMARK_OPERATOR_KEY="):
            found.keys["operator"] = line.strip().partition("=")[2]
        if line.startswith("listening on "):
            found.url = line.split()[2]
            break
    assert found.url, (said, log.read_text())
    assert_nothing_leaks(*said)
    (folder / "farm.key").write_text(key_text(KEYS["farm"], PASSPHRASE.encode(), CHEAP))
    (folder / "farm.key").chmod(0o600)
    found.keys["farm"] = found.json("member", "add", "Farm", "--public-key", possession_line(KEYS["farm"]))[
        "apiKey"
    ]
    found.keys["shop"] = found.json("member", "add", "Shop")["apiKey"]
    return found


def test_keygen_encrypts_and_the_file_is_opened_by_passphrase_file_or_environment_alone(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    secret.chmod(0o644)
    made = inside("keygen", "--encrypt", "-o", str(tmp_path / "k"), "--passphrase-file", str(secret))
    assert (made.code, (tmp_path / "k").exists()) == (1, False)
    assert f"chmod 600 {secret}" in made.err
    secret.chmod(0o600)
    made = inside("keygen", "--encrypt", "-o", str(tmp_path / "k"), "--passphrase-file", str(secret))
    assert made.code == 0
    assert (tmp_path / "k").read_text().startswith("loomark/encrypted-key/v1\n")
    assert "--passphrase " not in inside("keygen", "--help").out
    assert inside("keygen", "--encrypt", "-o", str(tmp_path / "no")).code == 1
    assert not (tmp_path / "no").exists()
    shown = json.loads(inside("key", "show", str(tmp_path / "k"), "--json").out)
    assert shown["held"] == "in this file, encrypted"
    wrong = inside("key", "decrypt", str(tmp_path / "k"), LOOMARK_KEY_PASSPHRASE="wrong")
    assert (wrong.code, "bad-passphrase" in wrong.err) == (1, True)
    assert inside("key", "decrypt", str(tmp_path / "k"), LOOMARK_KEY_PASSPHRASE=PASSPHRASE).code == 0
    assert json.loads(inside("key", "show", str(tmp_path / "k"), "--json").out)["held"] == "in this file"
    again = json.loads(
        inside("key", "encrypt", str(tmp_path / "k"), "--json", LOOMARK_KEY_PASSPHRASE=PASSPHRASE).out
    )
    assert (again["encrypted"], again["keyid"]) == (True, shown["keyid"])
    assert_nothing_leaks(wrong.err, made.out, made.err, (tmp_path / "k").read_text())


def test_a_capture_is_signed_with_an_encrypted_key_or_by_a_program(served: Served) -> None:
    file, key = served.document("a"), str(served.folder / "farm.key")
    locked = served.run("capture", file, "--key", key, key="farm")
    assert (locked.code, "no-passphrase" in locked.err) == (1, True)
    done = served.json("capture", file, "--key", key, key="farm", LOOMARK_KEY_PASSPHRASE=PASSPHRASE)
    assert [(job["state"], job["custody"]) for job in done] == [("sequenced", "member")]
    command = shlex.join(program("farm"))
    for more in ([], ["--public-key", possession_line(KEYS["farm"])]):
        done = served.json(
            "capture", served.document(f"b{len(more)}"), "--signer", command, *more, key="farm"
        )
        assert [(job["state"], job["custody"]) for job in done] == [("sequenced", "member")]
    wrong = served.run("capture", served.document("c"), "--signer", shlex.join(program("next")), key="farm")
    assert (wrong.code, "got another answer" in wrong.err) == (3, True)
    both = served.run("capture", file, "--signer", command, "--key", key, key="farm")
    assert "expected --key or --signer" in both.err
    unclear = served.run("capture", served.document("d"), "--signer", command, key="shop")
    assert "expected --public-key with --signer" in unclear.err


def test_a_signer_file_takes_the_place_of_a_key_file(served: Served) -> None:
    path = served.folder / "hsm.key"
    public = base64.b64encode(KEYS["farm"].public_bytes).decode()
    made = inside("key", "external", "-o", str(path), "--public-key", public, "--", *program("farm"))
    assert (made.code, made.out.strip()) == (0, possession_line(KEYS["farm"]))
    done = served.json("capture", served.document("e"), "--key", str(path), key="farm")
    assert [job["state"] for job in done] == ["sequenced"]
    wrong = inside(
        "key",
        "external",
        "-o",
        str(path) + "2",
        "--public-key",
        public,
        "--",
        *program("next"),
        "--pin",
        "1234",
    )
    assert (wrong.code, Path(str(path) + "2").exists()) == (3, False)
    assert "1234" not in wrong.err


def test_the_log_goes_over_to_its_next_key_and_members_and_verifiers_follow_offline(served: Served) -> None:
    key = str(served.folder / "farm.key")
    opened = {"LOOMARK_KEY_PASSPHRASE": PASSPHRASE}
    first = served.json("capture", served.document("f"), "--key", key, key="farm", **opened)[0]
    early = served.proof(first, "early.json")
    old = served.folder / "old.policy"
    assert served.run("policy", "-o", str(old)).code == 0
    told = served.run("key", "rotate", "log", "--overlap", "2s")
    assert (told.code, "policy --update" in told.out) == (0, True)
    shown = served.json("member", "list")["logKeys"]
    assert shown[1]["vkey"].endswith(base64.b64encode(b"\x01" + KEYS["next"].public_bytes).decode())
    _until_past(shown[0]["until"])
    # The member's pinned key is the old one; its client follows what that key announced.
    late = served.json("capture", served.document("g"), "--key", key, key="farm", **opened)[0]
    proof = served.proof(late, "late.json")
    failed = inside("verify", str(proof), "--policy", str(old))
    assert (failed.code, "loomark policy --update" in failed.out.replace("\n", " ")) == (1, True)
    evidence, new = served.folder / "changes.json", served.folder / "new.policy"
    assert served.json("key", "changes", "-o", str(evidence))["changes"] == 1
    away = {"LOOMARK_URL": "http://127.0.0.1:9"}
    done = inside("policy", "--update", str(old), "--from", str(evidence), "-o", str(new), "--json", **away)
    assert json.loads(done.out)["added"] == [shown[1]["vkey"]]
    for each in (early, proof):
        assert inside("verify", str(each), "--policy", str(new)).code == 0
    assert inside("verify", str(early), "--policy", str(old)).code == 0
    again = inside("policy", "--update", str(new), "--from", str(evidence), "-o", str(new), **away)
    assert "nothing to add" in again.out
    assert "--from goes with --update" in inside("policy", "--from", str(evidence), "-o", str(new)).err
    # What the node says is what the evidence leads to.
    served.run("policy", "-o", str(served.folder / "said.policy"))
    assert (served.folder / "said.policy").read_text() == new.read_text()


def _until_past(text: str) -> None:
    from datetime import UTC, datetime

    while datetime.now(UTC) <= datetime.fromisoformat(text):
        time.sleep(0.05)


def test_custody_rotates_from_the_command_line_and_a_member_delegates(served: Served) -> None:
    assert served.run("capture", served.document("h"), key="shop").code == 0
    told = served.json("key", "rotate", "custody", "--overlap", "1h")["changes"]
    assert [(one["member"], one["index"] is not None) for one in told] == [("shop", True)]
    assert served.run("capture", served.document("i"), key="shop").code == 0
    refused = served.run("capture", served.document("j"), key="farm")
    assert (refused.code, "no-delegation" in refused.err) == (1, True)
    key = str(served.folder / "farm.key")
    opened = {"LOOMARK_KEY_PASSPHRASE": PASSPHRASE}
    assert served.run("key", "delegate", "--key", key, key="farm", **opened).code == 0
    assert served.run("capture", served.document("j"), key="farm").code == 0
    text = served.run("key", "rotate", "custody", "farm")
    assert "delegates the new key itself" in text.out
    files = sorted((served.folder / "node" / "keys" / "service").glob("*.key"))
    assert all(path.read_text().startswith("loomark/encrypted-key/v1\n") for path in files)
    assert served.run("key", "rotate", "custody", "nobody").code == 1
    assert "bad-overlap" in served.run("key", "rotate", "custody", "--overlap", "soon").err


def test_a_member_is_shown_with_its_keys_ranges_and_what_is_disputed(served: Served) -> None:
    made = served.json("keygen", "-o", str(served.folder / "mill.key"))["publicKey"]
    served.keys["mill"] = served.json("member", "add", "Mill", "--public-key", made)["apiKey"]
    job = served.json("capture", served.document("k"), "--key", str(served.folder / "mill.key"), key="mill")[
        0
    ]
    fresh = served.json("keygen", "-o", str(served.folder / "mill2.key"))["publicKey"]
    args = ("member", "rotate", "mill", "--public-key", fresh, "--key", str(served.folder / "mill.key"))
    rotated = served.json(*args, key="mill")
    gone = served.run("capture", served.document("l"), "--key", str(served.folder / "mill.key"), key="mill")
    assert (gone.code, "key-retired" in gone.err) == (1, True)
    keyid = served.json("key", "show", str(served.folder / "mill.key"))["keyid"]
    assert served.run("member", "revoke", "mill", keyid, "--since", str(job["index"])).code == 0
    shown = served.json("member", "show", "mill")
    assert shown["disputed"] == [
        {"keyid": keyid, "use": "member", "from": job["index"], "to": rotated["index"] - 1}
    ]
    text = served.run("member", "show", "mill").out
    assert f"DISPUTED from index {job['index']} on" in text
    assert f"to index {rotated['index'] - 1}" in text
    assert f"disputed from {job['index']}" in served.run("member", "list").out
    assert served.run("member", "show", "nobody").code == 1
    policy = served.folder / "now.policy"
    served.run("policy", "-o", str(policy))
    proof = served.proof(job, "disputed.json", key="mill")
    failed = inside("verify", str(proof), "--policy", str(policy))
    assert (failed.code, "step 8" in failed.out) == (1, True)
    report = served.folder / "disputed-report.json"
    served.run("report", "https://id.gs1.org/01/09506000134352/21/k", "-o", str(report), key="mill")
    failed = inside("verify", str(report), "--policy", str(policy))
    assert (failed.code, "not verified: 1 record by a disputed key" in failed.out) == (1, True), failed
    told = inside("verify", str(report), "--policy", str(policy), "--json")
    assert (told.code, json.loads(told.out)["verified"]) == (1, False)


def test_no_secret_stands_in_process_lists_logs_files_or_metrics(served: Served) -> None:
    lists = [
        path.read_bytes().decode("latin-1")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if _mine(path, served)
    ]
    assert len(lists) > 1
    told = served.run("member", "list").out + served.run("key", "rotate", "operator").err
    assert_nothing_leaks(*lists, served.log.read_text(), contents(served.folder / "node"), told)
    # The environment of the children is all that holds them, where only the node's account can look.
    toml = (served.folder / "node" / "node.toml").read_text()
    assert "passphrase" not in toml
    assert "log_key" not in toml


def _mine(path: Path, served: Served) -> bool:
    try:
        parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return False
    return served.process.pid in (parent, int(path.parent.name))


def test_fsck_finds_the_rotated_folder_clean(served: Served) -> None:
    checked = served.run("fsck", "--data", str(served.folder / "node"), **SECRETS)
    assert checked.code == 0, checked


def test_help_reads_well_and_every_command_prints_json() -> None:
    told = inside("key", "--help").out
    for command in ("show", "encrypt", "decrypt", "external", "changes", "rotate", "delegate"):
        assert command in told
    for words in (["rotate", "log"], ["rotate", "operator"], ["rotate", "custody"], ["delegate"], ["show"]):
        assert "--json" in inside("key", *words, "--help").out


def test_a_public_key_is_read_without_a_passphrase(tmp_path: Path) -> None:
    write_key_file(tmp_path / "k", KEYS["farm"], PASSPHRASE.encode(), cost=CHEAP)
    assert read_public_key(tmp_path / "k") == KEYS["farm"].public_bytes
