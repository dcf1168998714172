"""Addresses of nodes: there and back, and no text that is anything but an address or an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import ConfigError
from pangea.compute.network.peers.address import NodeAddress

PEER = "12D3KooWGzh1u3Y1oGJNJZkVqZ3MJcBvQJHfTuJ5g9aZpXhvQe4D"
NAMES = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9 ._:\-]{0,20}", fullmatch=True)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: Path("/", *names))
HOSTS = st.from_regex(r"[a-z][a-z0-9\-]{0,10}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True) | st.ip_addresses().map(str)
PEERS = st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", min_size=40, max_size=70)
TCP = st.builds(NodeAddress, host=HOSTS, port=st.integers(1, 65_535), peer=PEERS)
UNIX = st.builds(NodeAddress, path=PATHS)


@given(TCP | UNIX)
def test_an_address_reads_as_it_is_written(address: NodeAddress) -> None:
    assert NodeAddress.parse(str(address)) == address


@given(TCP)
def test_the_scheme_may_be_left_out(address: NodeAddress) -> None:
    assert NodeAddress.parse(str(address).removeprefix("tcp://")) == address


@given(st.text() | st.text("unixtcp:/[].~0123456789", max_size=30))
def test_any_text_is_an_address_or_an_error_that_says_so(text: str) -> None:
    try:
        address = NodeAddress.parse(text)
    except ConfigError as error:
        assert error.hint  # noqa: PT017
    else:
        assert NodeAddress.parse(str(address)) == address


@pytest.mark.parametrize("slashes", ["/", "//", "///"])
def test_a_socket_may_be_written_as_a_url(slashes: str) -> None:
    assert NodeAddress.parse(f"unix:{slashes}run/rpc.sock") == NodeAddress(path=Path("/run/rpc.sock"))


def test_a_directory_means_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    socket = NodeAddress(path=tmp_path / "data" / "rpc.sock")
    for text in (str(tmp_path / "data"), "./data", "data", "~/data", str(socket.path), f"unix:{socket.path}"):
        assert NodeAddress.parse(text) == socket


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "a" * 5_000,
        "/" + "a" * 5_000,
        "~nobody-of-this-name/data",
        "unix:/run/\0",
        "/run/\0",
        f"host:0/{PEER}",
        f"host:65536/{PEER}",
        f"host:٣/{PEER}",
        f"ho st:80/{PEER}",
        f"http://host:80/{PEER}",
        "host:80/short",
        f"host:80/{PEER}/more",
    ],
)
def test_what_is_no_address_is_an_error_in_few_words(text: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a node") as refused:
        NodeAddress.parse(text)
    assert len(refused.value.message) < 300
    assert "unix:/path/rpc.sock" in refused.value.hint


def test_over_tcp_the_peer_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match="doesn't say which node") as refused:
        NodeAddress.parse("host:80")
    assert "pangea node id" in refused.value.hint
