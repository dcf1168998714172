"""Records: what a worker signs about one call, and whose signature it is."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.verification.receipts import Record

WORKER = Identity.create()
RECORD = Record(
    job_id=JobId("j"),
    owner=PeerId("o"),
    task_id=TaskId("j:0"),
    function="execute",
    module="ab",
    runtime="cd",
    spec=b"s" * 32,
    start=0,
    count=2,
    input=b"i" * 32,
    output=b"o" * 32,
    fuel=7,
    worker=PeerId(WORKER.peer_id),
)
OTHER: dict[type, Any] = {str: "x", int: 8, bytes: b"x", tuple: (1, 1)}


@pytest.mark.parametrize("name", [each.name for each in fields(Record) if each.name != "signature"])
def test_the_statement_tells_every_field_but_the_signature(name: str) -> None:
    other = replace(RECORD, **{name: OTHER[type(getattr(RECORD, name))]})
    assert other.statement() != RECORD.statement()
    assert other.hash() != RECORD.hash()


def test_the_hash_tells_the_signature_too() -> None:
    signed = replace(RECORD, signature=WORKER.sign(RECORD.statement()))
    assert signed.statement() == RECORD.statement()
    assert signed.hash() != RECORD.hash()


def test_the_statement_is_what_it_was_when_records_first_named_their_packs() -> None:
    # Old receipts must stay good: a change here needs a new number in the first field.
    assert replace(RECORD, worker=PeerId("w")).hash().hex() == "a93496cb2945271e2bca9ec988eae09c3f826a0caa05a1aeb63ac1a3ac52ee56"


texts, numbers, blobs = st.text(st.characters()), st.integers(), st.binary(max_size=40)
KINDS = {"int": numbers, "bytes": blobs, "tuple[int, ...]": st.lists(numbers, max_size=4).map(tuple)}
records = st.builds(
    Record,
    **{each.name: KINDS.get(str(each.type), texts) for each in fields(Record)},
)


@given(records, records)
def test_different_records_have_different_statements(one: Record, other: Record) -> None:
    assert (one.statement() == other.statement()) == (replace(one, signature=b"") == replace(other, signature=b""))


def test_who_signed_is_found_from_the_peer_id_alone() -> None:
    signature = WORKER.sign(b"data")
    assert is_signed_by(WORKER.peer_id, b"data", signature)
    assert not is_signed_by(WORKER.peer_id, b"date", signature)
    assert not is_signed_by(Identity.create().peer_id, b"data", signature)


@pytest.mark.parametrize(
    "peer_id",
    [
        "",
        "12D3KooW",
        WORKER.peer_id[:-1],
        WORKER.peer_id + "1",
        WORKER.peer_id + " ",
        "1" + WORKER.peer_id,
        WORKER.peer_id.replace("o", "0"),
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "\ud800",
        "1" * 1_000_000,
        "z" * 52,
    ],
    ids="empty start cut longer spaced doubled other-letters another-kind surrogate endless foreign".split(),
)
def test_what_names_no_ed25519_key_has_signed_nothing(peer_id: str) -> None:
    assert not is_signed_by(peer_id, b"data", WORKER.sign(b"data"))


@given(st.text(st.characters(), max_size=60), st.binary(max_size=70))
def test_garbage_is_an_answer_too(peer_id: str, signature: bytes) -> None:
    assert not is_signed_by(peer_id, b"data", signature)
    assert not is_signed_by(WORKER.peer_id, b"data", signature)
