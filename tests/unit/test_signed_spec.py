"""A job's spec: all that can change a call's outcome, in one way of writing it, under its owner's signature."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.model.order import Order
from pangea.compute.model.packet import JobSpec
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.verification.receipt_options import governing
from pangea.compute.verification.signed_spec import SPEC_BYTES_MAX, SignedSpec, inputs_hash, nonce_of
from tests.specs import signed_spec

OWNER = Identity.create()
JOB = JobSpec(job_id=JobId("0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"), module="ab" * 32, runtime="cd" * 32)
SPEC = signed_spec(JOB, PeerId(OWNER.peer_id), OWNER.sign)
OTHER: dict[str, Any] = {
    "job_id": JobId("another"),
    "owner": PeerId("another"),
    "nonce": "0" * 32,
    "module": "0" * 64,
    "runtime": "another",
    "meter": "another",
    "inputs": "0" * 64,
    "options": replace(SPEC.options, delimiter=b"another"),
    "order": Order(client=PeerId("another"), job_id=JobId("another"), associative=False, signature=bytes(64)),
}


@pytest.mark.parametrize("name", [each.name for each in fields(SignedSpec) if each.name != "signature"])
def test_every_part_is_signed_and_in_the_hash(name: str) -> None:
    other = replace(SPEC, **{name: OTHER[name]})
    assert other.hash() != SPEC.hash()
    assert not replace(other, owner=SPEC.owner).is_signed(is_signed_by) or name == "owner"
    assert not other.is_signed(is_signed_by)


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
def test_every_limit_is_part_of_it(name: str) -> None:
    limits = SPEC.options.limits
    other = replace(SPEC, options=replace(SPEC.options, limits=replace(limits, **{name: getattr(limits, name) - 1})))
    assert other.hash() != SPEC.hash()


def test_it_comes_back_as_it_was_written_and_in_no_other_way() -> None:
    data = SPEC.canonical()
    assert SignedSpec.read(data, SPEC.signature) == SPEC
    assert SPEC.is_signed(is_signed_by)
    record = json.loads(data)
    for other in (
        json.dumps(record).encode(),  # with spaces
        json.dumps({**record, "more": 1}, sort_keys=True, separators=(",", ":")).encode(),
        data.replace(b'"fuel":', b'"fuel":1,"fuel":', 1),
        data + b" ",
        data[:-1],
        b" " * (SPEC_BYTES_MAX + 1),
        b"[" * SPEC_BYTES_MAX,
        b"",
    ):
        with pytest.raises(UnverifiedError):
            SignedSpec.read(other, SPEC.signature)


def test_it_says_how_much_fuel_there_is() -> None:
    spec = replace(SPEC, options=governing(JobOptions(), limits=Limits(), associative=False))
    with pytest.raises(UnverifiedError, match=r"limits\.fuel is 0"):
        SignedSpec.read(spec.canonical(), b"")


def test_its_nonce_is_its_owner_s_alone_and_the_same_again() -> None:
    other = Identity.create()
    assert nonce_of(JOB.job_id, OWNER.sign) == nonce_of(JOB.job_id, OWNER.sign) == SPEC.nonce
    assert nonce_of(JOB.job_id, other.sign) != SPEC.nonce
    assert nonce_of(JobId("another"), OWNER.sign) != SPEC.nonce


def test_inputs_are_told_by_content_size_and_order() -> None:
    one, two = ("ab" * 32, 1), ("cd" * 32, 2)
    assert len({inputs_hash(each) for each in ([], [one], [one, two], [two, one], [("ab" * 32, 2)])}) == 5
