"""A client's own signature under its job: a node can neither change what was ordered nor make up that it was."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.model.errors import ManifestError, UnverifiedError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.limits import Limits
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.node.jobs.ordering import check_order
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.verification import ordering
from pangea.compute.verification.signed_spec import SignedSpec, inputs_hash

CLIENT, NODE, OTHER = Identity.create(), Identity.create(), Identity.create()
ID = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"
MODULE, INPUT = b"\0asm some module", b"some input"


def peer(who: Identity) -> PeerId:
    return PeerId(who.peer_id)


def inputs(data: bytes = INPUT) -> str:
    return inputs_hash([(sha256(data).hexdigest(), len(data))])


def manifest(*, sign: Identity = CLIENT, client: Identity = CLIENT, node: Identity = NODE, **options: Any) -> JobManifest:
    """A job as its client submits it, with an order of one who signs."""
    given = JobOptions.of({"job_id": ID, **options})
    order = ordering.order(
        sign.sign,
        client=peer(client),
        job_id=JobId(ID),
        node=peer(node),
        module=sha256(MODULE).hexdigest(),
        inputs=inputs(),
        options=ordering.ordered(given, is_python=False),
    )
    return JobManifest(module=Content(MODULE), inputs=(Content(INPUT),), options=given, order=order)


def signed(job: JobManifest, **changes: Any) -> SignedSpec:
    """The spec that the node makes of it."""
    assert job.order is not None
    spec = SignedSpec(
        job_id=JobId("the node's own"),
        owner=peer(NODE),
        nonce="0" * 32,
        module=sha256(MODULE).hexdigest(),
        runtime="ab" * 32,
        meter="some meter",
        inputs=inputs(),
        options=ordering.ordered(job.options, is_python=False),
        order=job.order,
    )
    return replace(spec, **changes).signed(NODE.sign)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def test_a_spec_with_an_order_comes_back_as_it_was_and_both_have_signed_it() -> None:
    spec = signed(manifest())
    again = SignedSpec.read(spec.canonical(), spec.signature)
    assert again == spec
    assert again.is_signed(is_signed_by)


OPTIONS = ordering.ordered(manifest().options, is_python=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"module": "0" * 64},
        {"inputs": inputs(b"another")},
        {"options": replace(OPTIONS, limits=replace(OPTIONS.limits, fuel=5))},
        {"options": replace(OPTIONS, chunks_per_pack=7)},
        {"options": replace(OPTIONS, associative_merge=True)},
        {"owner": peer(OTHER)},
    ],
    ids=["module", "inputs", "fuel", "packs", "early merges", "another node"],
)
def test_what_a_node_changes_its_client_has_not_ordered(changes: dict[str, Any]) -> None:
    spec = signed(manifest(), **changes)
    assert not spec.is_ordered(is_signed_by)
    assert not spec.is_signed(is_signed_by)


def test_what_the_client_said_of_merging_early_may_be_taken_back_where_there_is_no_merge() -> None:
    spec = signed(manifest(associative_merge=True))
    assert replace(spec, options=replace(spec.options, associative_merge=False)).is_ordered(is_signed_by)


@pytest.mark.parametrize("owner", ["uid:0", CLIENT.peer_id], ids=["a user", "a peer"])
def test_a_node_takes_what_its_client_has_signed(blobs: BlobStore, owner: str) -> None:
    check_order(manifest(), owner, peer(NODE), blobs)


@pytest.mark.parametrize(
    ("job", "owner"),
    [
        (manifest(sign=OTHER), "uid:0"),
        (manifest(node=OTHER), "uid:0"),
        (manifest(), OTHER.peer_id),
        (replace(manifest(), inputs=(Content(b"another"),)), "uid:0"),
        (replace(manifest(), module=Content(b"PK\x03\x04 python")), "uid:0"),
        (replace(manifest(), options=JobOptions.of({"job_id": ID, "limits": {"memory": 1 << 20}})), "uid:0"),
    ],
    ids=["another's signature", "for another node", "another's order", "another input", "another module", "another limit"],
)
def test_an_order_that_is_not_the_client_s_own_about_this_very_job_is_refused(
    blobs: BlobStore, job: JobManifest, owner: str
) -> None:
    with pytest.raises(ManifestError, match=r"hasn't signed an order for this job|submits a job that .* has ordered"):
        check_order(job, owner, peer(NODE), blobs)


def test_the_fuel_of_the_job_s_kind_is_part_of_the_order() -> None:
    assert ordering.ordered(JobOptions(), is_python=True).limits == Limits().with_fuel_for(python=True)


def test_an_order_in_a_manifest_comes_back_and_others_are_errors() -> None:
    job = manifest()
    assert JobManifest.from_json(job.to_json()) == job
    assert "order" not in replace(job, order=None).to_json()
    for wrong in (None, {}, {**job.to_json()["order"], "more": 1}, {**job.to_json()["order"], "signature": "!"}):
        with pytest.raises(ManifestError, match="order"):
            JobManifest.from_json({**job.to_json(), "order": wrong})


def test_a_spec_whose_order_is_half_an_order_is_none() -> None:
    spec = signed(manifest())
    data = spec.canonical().replace(b'"associative":false', b'"associative":0')
    with pytest.raises(UnverifiedError, match="associative is 0; it must be true or false"):
        SignedSpec.read(data, spec.signature)
