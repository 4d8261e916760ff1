"""Key files and signers: who may read them, what opens them, what a program that signs may do wrong."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import mldsa
from ledger.ed25519 import SigningKey, admit_public_key, possession_line, verify
from ledger.errors import InvalidInput, LoomarkError, NotFound, Unavailable
from ledger.keyfile import (
    Cost,
    load_signer,
    parse_key_text,
    read_key_file,
    read_public_key,
    replace_key_file,
    signer_of_text,
    write_key_file,
    write_signer_file,
)
from ledger.signer import CommandSigner

from .consortium import key_of, seeded

CHEAP = Cost(1, 8_192)
PASSPHRASE = b"correct horse battery staple"
SEED = base64.b64encode(key_of("a").seed_bytes()).decode()


def assert_hidden(text: str) -> None:
    """Nothing in a message may give the key or the passphrase away."""
    for secret in (SEED, key_of("a").seed_bytes().hex(), PASSPHRASE.decode()):
        assert secret not in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777, 0o620])
def test_a_key_file_that_others_may_read_or_write_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "my key"
    write_key_file(path, key_of("a"))
    path.chmod(mode)
    with pytest.raises(InvalidInput) as caught:
        read_key_file(path)
    assert caught.value.rule == "key-file-readable"
    assert_hidden(str(caught.value))
    command = caught.value.message.partition("run: ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    assert read_key_file(path).public_bytes == key_of("a").public_bytes


def test_an_encrypted_key_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key_file(path, key_of("a"), PASSPHRASE, cost=CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert_hidden(path.read_text())
    assert read_key_file(path, PASSPHRASE).seed_bytes() == key_of("a").seed_bytes()
    # What is public needs no passphrase.
    assert read_public_key(path) == key_of("a").public_bytes
    for wrong, rule in ((None, "no-passphrase"), (b"wrong", "bad-passphrase"), (b"", "bad-passphrase")):
        with pytest.raises(InvalidInput) as caught:
            read_key_file(path, wrong)
        assert caught.value.rule == rule
        assert_hidden(str(caught.value))


def test_the_default_cost_is_the_librarys_moderate_one() -> None:
    assert Cost() == Cost(3, 268_435_456)


def test_the_same_key_is_encrypted_to_other_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_key_file(tmp_path / name, key_of("a"), PASSPHRASE, cost=CHEAP)
    one, two = ((tmp_path / name).read_text().split("\n") for name in ("a", "b"))
    assert one[:3] == two[:3]
    assert one[3] != two[3]
    assert one[4] != two[4]


def test_encrypting_and_decrypting_in_place_keeps_the_key_and_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key_file(path, key_of("a"))
    replace_key_file(path, read_key_file(path), PASSPHRASE, cost=CHEAP)
    assert_hidden(path.read_text())
    replace_key_file(path, read_key_file(path, PASSPHRASE), None)
    assert read_key_file(path).seed_bytes() == key_of("a").seed_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize(
    "line",
    [
        "argon2id 1 99999999999 ",
        "argon2id 10000000 8192 ",
        "argon2id 0 8192 ",
        "argon2id -1 8192 ",
        "argon2id x y ",
    ],
)
def test_a_cost_beyond_reason_is_refused_before_it_is_paid(line: str) -> None:
    salt = base64.b64encode(bytes(16)).decode()
    public = base64.b64encode(key_of("a").public_bytes).decode()
    text = _lines("loomark/encrypted-key/v1", f"public {public}", line + salt, f"secretbox {'A' * 96}")
    with pytest.raises(InvalidInput) as caught:
        signer_of_text(text, "a test", PASSPHRASE)
    assert caught.value.rule == "bad-key-file"


def test_an_encrypted_file_that_names_another_key_than_it_holds_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "k", tmp_path / "o"
    write_key_file(path, key_of("a"), PASSPHRASE, cost=CHEAP)
    write_key_file(other, key_of("b"), PASSPHRASE, cost=CHEAP)
    head, tail = other.read_text().split("\n")[:3], path.read_text().split("\n")[3:]
    with pytest.raises(InvalidInput) as caught:
        signer_of_text("\n".join([*head, *tail]), "a test", PASSPHRASE)
    assert caught.value.rule == "bad-key-file"


@given(st.one_of(st.text(max_size=400), st.binary(max_size=400).map(lambda raw: raw.decode("latin-1"))))
def test_any_text_is_a_key_file_or_is_refused_by_one_rule(text: str) -> None:
    for each in (text, f"loomark/signer/v1\n{text}\n", f"loomark/encrypted-key/v1\n{text}\n"):
        with pytest.raises(InvalidInput) as caught:
            parse_key_text(each, "a test")
        assert caught.value.rule == "bad-key-file"


@pytest.mark.parametrize(
    "command", ["[]", "{}", '"sh"', "[1]", '["a\\u0000b"]', "[" * 2_000, "[null]", "true"]
)
def test_a_signer_file_whose_command_is_no_list_of_words_is_refused(command: str) -> None:
    public = base64.b64encode(key_of("a").public_bytes).decode()
    text = _lines("loomark/signer/v1", f"public {public}", "timeout 5", f"command {command}")
    with pytest.raises(InvalidInput) as caught:
        signer_of_text(text, "a test")
    assert caught.value.rule == "bad-key-file"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "301", "", "x"])
def test_a_signer_file_without_a_bounded_time_is_refused(timeout: str) -> None:
    public = base64.b64encode(key_of("a").public_bytes).decode()
    text = _lines("loomark/signer/v1", f"public {public}", f"timeout {timeout}", 'command ["true"]')
    with pytest.raises(InvalidInput) as caught:
        signer_of_text(text, "a test")
    assert caught.value.rule == "bad-key-file"


def _lines(name: str, *rest: str) -> str:
    from ledger.ed25519 import key_id

    return "\n".join([name, f"keyid {key_id(key_of('a').public_bytes)}", *rest]) + "\n"


# -- programs that sign ----------------------------------------------------------------------------------

HONEST = """
import sys
sys.path.insert(0, {root!r})
from tests.ledger.consortium import key_of
message = sys.stdin.buffer.read()
signature = key_of({name!r}).sign(message)
"""
RAW = HONEST + "sys.stdout.buffer.write(signature)"
ROOT = str(Path(__file__).resolve().parents[2])


def program(body: str, name: str = "a") -> list[str]:
    return [sys.executable, "-c", body.format(root=ROOT, name=name)]


def signer(body: str, name: str = "a", timeout_s: float = 20.0) -> CommandSigner:
    return CommandSigner(program(body, name), key_of("a").public_bytes, timeout_s)


@pytest.mark.parametrize(
    "answer",
    [
        "sys.stdout.buffer.write(signature)",
        "import base64; print(base64.b64encode(signature).decode())",
    ],
)
def test_a_program_signs_raw_or_in_base64(answer: str) -> None:
    message = b"x" * 200_000
    signature = signer(HONEST + answer).sign(message)
    assert signature == key_of("a").sign(message)


def test_a_program_can_prove_that_it_holds_the_key() -> None:
    assert admit_public_key(possession_line(signer(RAW))) == key_of("a").public_bytes


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (RAW.replace("{name!r}", "'another'"), "another answer"),
        ("import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write(bytes(64))", "another answer"),
        ("", "another answer"),
        ("import sys; sys.stdout.write('x' * 9000)", "at most 8192 bytes"),
        ("import sys; sys.stderr.write('PIN 1234'); sys.exit(3)", "exit code 0, got 3"),
    ],
)
def test_whatever_a_program_does_wrong_is_unavailable_and_tells_no_argument(body: str, why: str) -> None:
    command = [*program(body), "--pin", "1234"]
    with pytest.raises(Unavailable, match=why) as caught:
        CommandSigner(command, key_of("a").public_bytes, 20).sign(b"message")
    assert "1234" not in str(caught.value)


def test_a_program_that_does_not_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    body = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(mark)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    patience = 3.0
    with pytest.raises(Unavailable, match="within 3 s"):
        CommandSigner([sys.executable, "-c", body], key_of("a").public_bytes, patience).sign(b"m")
    pid = int(mark.read_text())
    deadline = time.monotonic() + 20
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="can be started"):
        CommandSigner(["/nowhere/signer"], key_of("a").public_bytes).sign(b"m")


def test_a_program_gets_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOMARK_KEY_PASSPHRASE", PASSPHRASE.decode())
    body = (
        HONEST
        + "import os\nif 'LOOMARK_KEY_PASSPHRASE' not in os.environ: sys.stdout.buffer.write(signature)"
    )
    assert verify(key_of("a").public_bytes, b"m", signer(body).sign(b"m"))


def test_a_signer_file_signs_wherever_a_key_file_does_but_holds_no_key(tmp_path: Path) -> None:
    path = tmp_path / "hsm"
    write_signer_file(path, key_of("a").public_bytes, program(RAW), 20)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert load_signer(path).sign(b"m") == key_of("a").sign(b"m")
    assert read_public_key(path) == key_of("a").public_bytes
    assert json.loads(path.read_text().split("\n")[4].partition(" ")[2]) == program(RAW)
    with pytest.raises(InvalidInput) as caught:
        read_key_file(path)
    assert caught.value.rule == "external-key"


@pytest.mark.skipif(not mldsa.is_available(), reason="this installation's `cryptography` has no ML-DSA-44")
def test_a_program_may_sign_by_another_scheme() -> None:
    key = mldsa.MlDsaKey(seeded("pq"))
    body = (
        f"import sys\nsys.path.insert(0, {ROOT!r})\nfrom ledger.mldsa import MlDsaKey\n"
        f"from tests.ledger.consortium import seeded\n"
        "sys.stdout.buffer.write(MlDsaKey(seeded('pq')).sign(sys.stdin.buffer.read()))"
    )
    signer = CommandSigner([sys.executable, "-c", body], key.public_bytes, 20, verify=mldsa.verify)
    assert mldsa.verify(key.public_bytes, b"m", signer.sign(b"m"))


def test_a_missing_file_is_told_from_a_bad_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_signer(tmp_path / "absent")
    with pytest.raises(LoomarkError):
        load_signer(tmp_path)


def test_no_signer_shows_its_command_or_key() -> None:
    shown = repr(CommandSigner(["sign", "--pin", "1234"], key_of("a").public_bytes)) + repr(
        SigningKey(bytes(32))
    )
    assert "1234" not in shown
    assert bytes(32).hex() not in shown
