"""Of all bytes that mean a message, the reader takes the one spelling that the protocol's own library writes."""

from __future__ import annotations

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from ledger.hyperledger.protobuf import Field, Message, parse_message

FIELDS = {1: Field.NUMBER, 4: Field.BYTES, 5: Field.MESSAGE, 16: Field.REPEATED}


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _written(message: Message) -> bytes:
    """A message's bytes, written again."""
    found = [(number, _varint(number << 3) + _varint(value)) for number, value in message.numbers.items()]
    found += [
        (number, b"".join([_varint(number << 3 | 2) + _varint(len(each)) + each for each in values]))
        for number, values in message.parts.items()
    ]
    return b"".join([data for _, data in sorted(found)])


@given(
    kind=st.integers(0, 2**31 - 1),
    channel=st.text(max_size=20),
    epoch=st.integers(0, 2**64 - 1),
    extension=st.binary(max_size=300),
    seconds=st.integers(-(2**63), 2**63 - 1) | st.none(),
)
def test_what_the_protocols_library_writes_is_read(
    kind: int, channel: str, epoch: int, extension: bytes, seconds: int | None
) -> None:
    header = common_pb2.ChannelHeader(type=kind, channel_id=channel, epoch=epoch, extension=extension)
    if seconds is not None:
        header.timestamp.seconds = seconds
    fields = {1: Field.NUMBER, 3: Field.MESSAGE, 4: Field.BYTES, 6: Field.NUMBER, 7: Field.BYTES}
    read = parse_message(header.SerializeToString(), "header", fields)
    assert (read.number(1), read.text(4), read.number(6), read.data(7)) == (kind, channel, epoch, extension)
    assert read.has(3) is (seconds is not None)
    inner = parse_message(read.data(3), "time", {1: Field.NUMBER})
    assert inner.number(1) == (seconds or 0) % 2**64


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_repeated_fields_are_read_in_their_order(values: list[bytes]) -> None:
    reads = [kv_rwset_pb2.KVRead(key=value.hex()) for value in values]
    data = kv_rwset_pb2.KVRWSet(reads=reads).SerializeToString()
    read = parse_message(data, "reads", {1: Field.REPEATED})
    assert [parse_message(each, "read", {1: Field.BYTES}).text(1) for each in read.each(1)] == [
        value.hex() for value in values
    ]


@given(
    st.binary(max_size=40)
    | st.lists(st.sampled_from([0x08, 0x22, 0x2A, 0x82, 0x01, 0, 1, 2, 0x80])).map(bytes)
)
def test_whatever_is_read_has_one_spelling(data: bytes) -> None:
    try:
        read = parse_message(data, "message", FIELDS)
    except InvalidInput:
        return
    assert _written(read) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x10\x01", id="unknown field"),
        pytest.param(b"\x0a\x01x", id="field of another wire type"),
        pytest.param(b"\x0d\x01\x00\x00\x00", id="fixed32"),
        pytest.param(b"\x0b\x0c", id="group"),
        pytest.param(b"\x08\x01\x08\x01", id="field twice"),
        pytest.param(b"\x22\x01x\x22\x01x", id="bytes twice"),
        pytest.param(b"\x2a\x00\x2a\x00", id="message twice"),
        pytest.param(b"\x22\x01x\x08\x01", id="fields out of order"),
        pytest.param(b"\x08\x00", id="number 0 written out"),
        pytest.param(b"\x22\x00", id="empty bytes written out"),
        pytest.param(b"\x08\x81\x00", id="longer varint than needed"),
        pytest.param(b"\x88\x00\x01", id="longer tag than needed"),
        pytest.param(b"\x22\x81\x00x", id="longer length than needed"),
        pytest.param(b"\x08" + b"\xff" * 9 + b"\x02", id="number of 65 bits"),
        pytest.param(b"\x08" + b"\x80" * 10 + b"\x01", id="varint of 11 bytes"),
        pytest.param(b"\x08", id="cut after a tag"),
        pytest.param(b"\x08\x80", id="cut in a number"),
        pytest.param(b"\x22\x02x", id="cut in bytes"),
        pytest.param(b"\x22\xff\xff\xff\xff\x0fx", id="length beyond the end"),
        pytest.param(b"\x00\x01", id="field 0"),
    ],
)
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_message(data, "message", FIELDS)
    assert refused.value.rule == "bad-protobuf"


def test_text_has_to_be_utf_8() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_message(b"\x22\x01\xff", "message", FIELDS).text(4)
    assert refused.value.rule == "bad-protobuf"
