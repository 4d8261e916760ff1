from __future__ import annotations

import subprocess
import sys

import pytest

from fabric.epcis.identifiers import Kind
from fabric.lineage import Fact, Sort
from fabric.lineage.fact import short_word, sort_from

from .scene import CLASS, Scene, grai, lot, sscc, tote, unit


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("https://ref.gs1.org/cbv/BizStep-shipping", "shipping"),
        ("https://ref.gs1.org/cbv/BTT-po", "po"),
        ("urn:epcglobal:cbv:bizstep:void_shipping", "void_shipping"),
        ("https://example.com/steps/washing", "https://example.com/steps/washing"),
        (None, None),
    ],
)
def test_words_of_the_vocabulary_are_bare_and_others_as_sent(word: str | None, expected: str | None) -> None:
    assert short_word(word) == expected


@pytest.mark.parametrize(
    ("kind", "iri", "expected"),
    [
        (Kind.LOT, lot("A"), Sort.LOT),
        (Kind.LOT, "urn:loomark:thing:farm:lot:7", Sort.LOT),
        (Kind.CLASS, CLASS, Sort.CLASS),
        (Kind.SERIAL, unit("1"), Sort.SERIAL),
        (Kind.SERIAL, sscc(1), Sort.SSCC),
        (Kind.SERIAL, grai(1), Sort.ASSET),
        (Kind.SERIAL, tote(1), Sort.PRIVATE),
        (Kind.PLACE, "https://id.gs1.org/414/9506000134307", Sort.OTHER),
    ],
)
def test_what_lineage_does_with_a_thing_follows_from_kind_and_key(
    kind: Kind, iri: str, expected: Sort
) -> None:
    assert sort_from(kind.value, iri) is expected


def one(iri: str, amount: str | None = None) -> Fact:
    return Scene().make(1, (iri, amount))


def test_a_serial_is_one_item_and_a_class_without_quantity_is_unknown() -> None:
    assert str(one(unit("1")).lines[0].quantity) == "1"
    assert one(lot("A")).lines[0].quantity is None


def test_the_content_of_a_record_covers_things_with_their_amounts() -> None:
    assert one(lot("A"), "5").content == one(lot("A"), "5.0").content
    contents = {
        fact.content for fact in (one(lot("A"), "5"), one(lot("A"), "6"), one(lot("A")), one(lot("B"), "5"))
    }
    assert len(contents) == 4


def test_deriving_needs_no_database_package() -> None:
    # What the offline verifier imports must come with the base install.
    block = "import sys; sys.modules['sqlalchemy'] = sys.modules['orjson'] = None;"
    done = subprocess.run(
        [sys.executable, "-c", f"{block} import fabric.lineage.memory, fabric.lineage.view"], check=False
    )
    assert done.returncode == 0
