"""Statements of peers: signed, bounded, and read as they were said or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pangea.compute.model.errors import ConfigError
from pangea.compute.network.discovery.records import (
    ADDRESSES_MAX,
    MESSAGE_BYTES_MAX,
    STATEMENT_BYTES_MAX,
    TOLD_MAX,
    Advertisement,
    BadStatementError,
    Statement,
    host_ip,
    read,
    read_message,
    sign,
    write_message,
)
from pangea.compute.network.discovery.settings import Bootstrap
from pangea.compute.network.identity import Identity

NODE = Identity.create()
SAID = Advertisement(rpc=(f"tcp://10.0.0.1:7000/{NODE.peer_id}",), takes_children=True, depth=2, site="rack 3", free_places=4)


def statement(advertisement: Advertisement = SAID, hosts: tuple[str, ...] = ("/ip4/10.0.0.1/tcp/4001",)) -> Statement:
    return sign(NODE, advertisement, hosts=hosts, speaks_dht=True, at=17)


def signed(**fields: object) -> tuple[str, str]:
    """A statement with other fields, signed by its author all the same."""
    text = json.dumps(json.loads(statement().text) | fields)
    return text, NODE.key.sign(b"pangea-peer-statement-1:" + text.encode(errors="replace")).hex()


def test_a_statement_reads_as_it_was_said() -> None:
    made = statement()
    assert read(made.text, made.signature, knows_loopback=False) == made
    assert (made.peer, made.at, made.speaks_dht, made.advertisement) == (NODE.peer_id, 17, True, SAID)


def test_a_statement_counts_only_as_its_author_signed_it() -> None:
    made, other = statement(), Identity.create()
    altered = made.text.replace("rack 3", "rack 4")
    forgery = made.text.replace(NODE.peer_id, other.peer_id)
    for text, signature in (
        (altered, made.signature),
        (forgery, made.signature),
        (made.text, "00" * 64),
        (made.text, "no hex"),
        (made.text, ""),
        (made.text, NODE.key.sign(made.text.encode()).hex()),  # signed for something else
    ):
        with pytest.raises(BadStatementError, match="isn't signed by"):
            read(text, signature, knows_loopback=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"peer": 7},
        {"peer": "12D3KooW"},
        {"peer": "1" * 10_000},
        {"at": -1},
        {"at": 2.5},
        {"at": True},
        {"at": 2**60},
        {"depth": 65},
        {"free_places": "3"},
        {"is_root": 1},
        {"takes_children": None},
        {"dht": "yes"},
        {"site": "x" * 65},
        {"site": "a\nb"},
        {"site": "\u202eb"},
        {"site": "\ud800"},
        {"rpc": "tcp://10.0.0.1:7000/x"},
        {"rpc": ["x"] * (ADDRESSES_MAX + 1)},
        {"hosts": [{}]},
        {"hosts": ["x" * 161]},
        {"more": "x" * STATEMENT_BYTES_MAX},
    ],
    ids=lambda fields: str(fields)[:60],
)
def test_malformed_statements_are_refused_even_if_signed(fields: dict[str, object]) -> None:
    with pytest.raises(BadStatementError):
        read(*signed(**fields), knows_loopback=True)


def test_fields_of_a_later_version_are_no_fault() -> None:
    assert read(*signed(more=1), knows_loopback=False).advertisement == SAID


def test_addresses_that_arent_the_peers_or_mean_nothing_are_left_out() -> None:
    own, other = NODE.peer_id, Identity.create().peer_id
    rpc = [
        f"tcp://10.0.0.1:1/{other}",
        f"tcp://127.0.0.1:1/{own}",
        f"tcp://localhost:1/{own}",
        f"tcp://[::ffff:127.0.0.1]:1/{own}",
        f"tcp://0.0.0.0:1/{own}",
        f"tcp://224.0.0.1:1/{own}",
        "unix:/tmp/rpc.sock",
        "/etc",
        f"tcp://there.example:1/{own}",
    ]
    hosts = ["/ip4/127.0.0.1/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip6/::1/tcp/1", "/dns/there/tcp/1"]
    far = read(*signed(rpc=rpc[:8], hosts=hosts), knows_loopback=False)
    assert (far.advertisement.rpc, far.hosts) == ((), ())
    assert read(*signed(rpc=rpc[8:]), knows_loopback=False).advertisement.rpc == (rpc[8],)
    near = read(*signed(rpc=rpc[:8], hosts=hosts), knows_loopback=True)
    assert near.advertisement.rpc == tuple(rpc[1:4])
    assert near.hosts == (hosts[0], hosts[2])


def test_the_largest_statement_that_may_be_said_can_be_read() -> None:
    address = f"tcp://{'n' * 86}.example:65535/{NODE.peer_id}"
    largest = replace(SAID, rpc=(address,) * ADDRESSES_MAX, site="\U0001f600" * 64)
    hosts = ("/ip6/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/tcp/65535",) * ADDRESSES_MAX
    made = statement(largest, hosts)
    assert read(made.text, made.signature, knows_loopback=False).advertisement == largest


def test_a_message_tells_as_many_as_fit_and_reads_as_written() -> None:
    made = statement()
    own, told = read_message(write_message(made, [(made, 1.25)] * 100))
    assert own == (made.text, made.signature)
    assert told == [(made.text, made.signature, 1.2)] * TOLD_MAX
    long = statement(replace(SAID, rpc=(f"tcp://{'n' * 90}:1/{NODE.peer_id}",) * ADDRESSES_MAX))
    message = write_message(made, [(long, 0.0)] * TOLD_MAX)
    assert MESSAGE_BYTES_MAX - 2_000 < len(message) <= MESSAGE_BYTES_MAX
    assert 10 < len(read_message(message)[1]) < TOLD_MAX


@pytest.mark.parametrize("age", [-1, "1", None, True, float("nan"), float("inf")], ids=str)
def test_an_age_is_a_number_of_seconds(age: object) -> None:
    made = statement()
    message = json.dumps({"me": [made.text, made.signature], "known": [[made.text, made.signature, age]]}).encode()
    with pytest.raises(BadStatementError):
        read_message(message)


def test_what_may_not_be_said_isnt_signed() -> None:
    for advertisement, match in (
        (replace(SAID, rpc=SAID.rpc * 9), "at most 8"),
        (replace(SAID, rpc=("unix:/tmp/x",)), "is not an RPC address"),
        (replace(SAID, rpc=(SAID.rpc[0].replace("10.", "n" * 161),)), "characters"),
        (replace(SAID, site="x" * 65), "the site"),
        (replace(SAID, free_places=-1), "free_places is -1"),
    ):
        with pytest.raises(ConfigError, match=match):
            statement(advertisement)


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("/ip4/1.2.3.4/tcp/1", "1.2.3.4"),
        ("/ip6/2001:db8::1/tcp/65535", "2001:db8::1"),
        ("/ip4/2001:db8::1/tcp/1", None),
        ("/ip6/1.2.3.4/tcp/1", None),
        ("/ip4/1.2.3.4/tcp/0", None),
        ("/ip4/1.2.3.4/tcp/65536", None),
        ("/ip4/1.2.3.4/udp/1", None),
        ("/ip4/1.2.3.4.5/tcp/1", None),
        ("", None),
    ],
)
def test_multiaddrs_that_can_be_dialled(text: str, ip: str | None) -> None:
    assert host_ip(text) == ip


@pytest.mark.parametrize("kind", ["ip4", "ip6", "dns", "dns4", "dns6"])
def test_bootstrap_addresses(kind: str) -> None:
    assert Bootstrap.parse(f"/{kind}/there/tcp/4001/p2p/{NODE.peer_id}") == Bootstrap(NODE.peer_id, "there", 4001)
    for wrong in (
        f"/{kind}/there/tcp/4001",
        f"/{kind}/there/tcp/0/p2p/{NODE.peer_id}",
        f"/{kind}/there/udp/1/p2p/{NODE.peer_id}",
    ):
        with pytest.raises(ConfigError, match="is not the multiaddr of a peer"):
            Bootstrap.parse(wrong)
