"""`loomark capture FILE.xml` against a served node: in custody, signed, refused by line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli.child import ChildNode
from tests.fabric.epcis.xml_documents import EVENT, around

from .test_cli import Served, inside


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("xml")
    with ChildNode(folder / "node") as child:
        served = Served(folder, child.url, "", {"operator": child.operator_key})
        line = served.run("keygen", "-o", str(folder / "packer.key"), key=None).out.strip().splitlines()[-1]
        for name, more in (("farm", []), ("packer", ["--public-key", line])):
            made = served.run("member", "add", name, "--id", name, *more, "--json", key="operator")
            served.keys[name] = json.loads(made.out)["apiKey"]
        # What needs no key of its own is run with that of `recall` by default.
        served.keys["recall"] = served.keys["farm"]
        yield served


def written(folder: Path, name: str, events: int = 2, **changes: str) -> Path:
    """A file with events that are about things of its own."""
    texts = [EVENT.replace("sgtin:9506000.013435.", f"sgtin:9506000.013435.{name}{n}") for n in range(events)]
    text = "\n".join(texts)
    for before, after in changes.items():
        text = text.replace(before, after)
    file = folder / f"{name}.xml"
    file.write_bytes(around(text))
    return file


def header(served: Served, job: dict[str, Any], member: str) -> dict[str, Any]:
    """The header record of a job."""
    from api.cli.client import Node

    with Node(served.url, served.keys[member]) as node:
        value: dict[str, Any] = node.get_json(f"/api/records/{job['records'][0]['record']}")["value"]
        return value


@pytest.mark.parametrize(("member", "custody"), [("farm", "service"), ("packer", "member")])
def test_an_xml_file_is_captured_and_its_receipt_verified_offline(
    served: Served, member: str, custody: str
) -> None:
    file, receipt = written(served.folder, member), served.folder / f"{member}.receipt"
    signing = ["--key", str(served.folder / "packer.key")] if custody == "member" else []
    done = served.run("capture", str(file), *signing, "--receipt", str(receipt), key=member)
    assert done.code == 0, done.err
    assert "2 events in the log at" in done.out
    again = json.loads(served.run("capture", str(file), *signing, "--json", key=member).out)[0]
    assert (again["custody"], len(again["records"])) == (custody, 3)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert header(served, again, member)["source"] == {"sha256": digest, "mediaType": "application/xml"}
    policy = served.folder / "policy.txt"
    assert served.run("policy", "-o", str(policy)).code == 0
    verdict = inside("verify", str(receipt), "--policy", str(policy))
    assert verdict.code == 0, verdict.err
    assert "the whole capture of 3 records" in verdict.out


@pytest.mark.parametrize("member", ["farm", "packer"])
def test_a_refused_xml_file_is_told_by_path_and_line_and_stores_nothing(served: Served, member: str) -> None:
    file, before = written(served.folder, f"bad{member}", ADD="PUT"), served.size()
    signing = ["--key", str(served.folder / "packer.key")] if member == "packer" else []
    done = served.run("capture", str(file), *signing, key=member)
    assert (done.code, served.size()) == (1, before)
    assert "/EPCISDocument/EPCISBody/EventList/ObjectEvent[1]/action (line 5)" in done.err.replace("\n", "")
