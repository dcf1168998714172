"""Whatever bytes a stranger sends, they are a message, or refused by one error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.network.discovery.records import BadStatementError, read, read_message
from pangea.compute.network.identity import Identity

NODE = Identity.create()
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)
NAMES = st.sampled_from(["peer", "at", "hosts", "dht", "rpc", "takes_children", "depth", "is_root", "site", "free_places"])


@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda me, known: json.dumps({"me": me, "known": known}).encode(), JSON, JSON)
)
def test_a_message_is_one_or_is_refused(message: bytes) -> None:
    try:
        (text, signature), told = read_message(message)
    except BadStatementError:
        return
    assert isinstance(text, str)
    assert isinstance(signature, str)
    assert all(age >= 0 for _, _, age in told)


@given(st.dictionaries(NAMES, JSON), st.booleans())
def test_a_signed_statement_is_one_or_is_refused(fields: dict[str, Any], is_whole: bool) -> None:
    whole: dict[str, Any] = {"at": 1, "hosts": [], "dht": True, "rpc": [], "takes_children": True, "depth": 0, "is_root": False}
    text = json.dumps((whole | {"site": "", "free_places": 0} if is_whole else {}) | fields | {"peer": NODE.peer_id})
    signature = NODE.key.sign(b"pangea-peer-statement-1:" + text.encode()).hex()
    try:
        statement = read(text, signature, knows_loopback=True)
    except BadStatementError:
        return
    assert statement.peer == NODE.peer_id
    assert all(address.endswith(NODE.peer_id) for address in statement.advertisement.rpc)


@given(st.text(), st.text())
def test_any_two_texts_are_no_statement(text: str, signature: str) -> None:
    with pytest.raises(BadStatementError):
        read(text, signature, knows_loopback=True)
