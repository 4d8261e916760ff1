"""Where a delivery may go: no address of the node's own network, however it is written or looked up."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from fabric.query.errors import SubscriptionControls
from fabric.subscription.destination import (
    Allowed,
    Resolver,
    checked_addresses,
    is_public,
    parse_allowed,
    parse_destination,
)
from ledger.errors import InvalidInput

NOTHING = Allowed()


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("https://client.example.com/queryCallback", "client.example.com", 443, "/queryCallback"),
        ("https://Client.Example.COM:8443", "client.example.com", 8443, "/"),
        ("https://client.example.com./a?b=c&d", "client.example.com", 443, "/a?b=c&d"),
        ("https://93.184.216.34/x", "93.184.216.34", 443, "/x"),
        ("https://[2606:2800:220:1::1]:444/x", "2606:2800:220:1::1", 444, "/x"),
        ("https://xn--bcher-kva.example/x", "xn--bcher-kva.example", 443, "/x"),
    ],
)
def test_a_public_address_over_https_is_taken(text: str, host: str, port: int, path: str) -> None:
    target = parse_destination(text, NOTHING)
    assert (target.secure, target.host, target.port, target.path) == (True, host, port, path)


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "https://",
        "client.example.com/x",
        "//client.example.com/x",
        "ftp://client.example.com/x",
        "file:///etc/passwd",
        "http://client.example.com/x",
        "https://user@client.example.com/x",
        "https://user:hunter2@client.example.com/x",
        "https://client.example.com/x#part",
        "https://client.example.com/x#",
        "https://client.example.com:0/",
        "https://client.example.com:65536/",
        "https://client.example.com:http/",
        "https://client.example.com/a b",
        "https://client.example.com/a\r\nX-Header: 1",
        "https://client.example.com/\x00",
        "https://bücher.example/",
        "https://client..example/",
        "https://-/%",
        "https://[::1",
        "https://client.example.com/" + "a" * 2048,
        "http://93.184.216.34/x",
    ],
)
def test_an_address_of_another_form_is_refused(text: object) -> None:
    with pytest.raises(SubscriptionControls) as caught:
        parse_destination(text, NOTHING)
    assert (caught.value.rule, caught.value.pointer) == ("bad-destination", "/dest")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "intranet",
        "db.internal",
        "metadata.google.internal",
        "printer.local",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[fec0::1]",
        "[feff::1]",
    ],
)
def test_the_nodes_own_network_is_refused(host: str) -> None:
    with pytest.raises(SubscriptionControls) as caught:
        parse_destination(f"https://{host}/x", NOTHING)
    assert (caught.value.rule, caught.value.pointer) == ("destination-refused", "/dest")


def told(*addresses: str) -> Resolver:
    def resolver(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolver


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("93.184.216.34", "10.0.0.1"), ("2606:2800:220:1::1", "::1"), ("fe80::1%eth0",)],
)
def test_a_name_that_leads_into_the_network_is_refused_when_it_is_looked_up(
    addresses: Sequence[str],
) -> None:
    target = parse_destination("https://client.example.com/x", NOTHING)
    with pytest.raises(SubscriptionControls) as caught:
        checked_addresses(target, NOTHING, told(*addresses))
    assert caught.value.rule == "destination-refused"
    assert "10." not in str(caught.value)


def test_a_public_name_gives_its_addresses_and_one_without_any_is_away() -> None:
    target = parse_destination("https://client.example.com/x", NOTHING)
    found = ("93.184.216.34", "2606:2800:220:1::1")
    assert checked_addresses(target, NOTHING, told(*found)) == list(found)
    with pytest.raises(OSError, match="no address"):
        checked_addresses(target, NOTHING, told())


def test_the_operator_allows_networks_and_names() -> None:
    allowed = parse_allowed(" 127.0.0.0/8, ::1 , hooks.corp.example,fd00::/8,")
    assert allowed.hosts == {"hooks.corp.example"}
    assert parse_destination("http://127.0.0.1:9000/x", allowed).port == 9000
    assert parse_destination("https://[::ffff:127.0.0.1]/x", allowed).secure
    assert parse_destination("http://[fd00::7]/x", allowed).host == "fd00::7"
    hooks = parse_destination("http://hooks.corp.example/x", allowed)
    assert checked_addresses(hooks, allowed, told("10.0.0.9")) == ["10.0.0.9"]
    named = parse_destination("https://other.example.com/x", allowed)
    assert checked_addresses(named, allowed, told("127.0.0.9")) == ["127.0.0.9"]
    for refused in (
        "http://10.0.0.1/x",
        "https://10.0.0.1/",
        "http://other.example.com/x",
        "https://localhost/",
    ):
        with pytest.raises(SubscriptionControls):
            parse_destination(refused, allowed)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "http://a.example", "a b", "10.0.0.1/8", "a/b", "ex*mple.com"]
)
def test_a_setting_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_allowed(f"127.0.0.1,{text}")
    assert caught.value.rule == "bad-setting"


def test_public_addresses_are_public() -> None:
    for text in ("8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"):
        assert is_public(ip_address(text)), text
