"""Whether a client has signed for the job that it submits."""

from __future__ import annotations

from hashlib import sha256

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.network.identity import is_peer_id, is_signed_by
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.verification.ordering import is_ordered, ordered
from pangea.compute.verification.signed_spec import inputs_hash

#: How a job archive begins.
PYTHON = b"PK"


def check_order(manifest: JobManifest, owner: str, node: PeerId, blobs: BlobStore) -> None:
    """Refuse an order that isn't its client's, or isn't about this job, on this node. Reads the module's first bytes.

    Args:
        manifest: has an order; its content is on this node.
        owner: who submits it: a user of this machine, who may have any key, or the peer id that alone it may order with.
        node: this one.
        blobs: have the module, if it isn't in the manifest.

    Raises:
        ManifestError: says what is wrong with it.
    """
    order, module = manifest.order, manifest.module
    assert order is not None, "there is one to check"
    if is_peer_id(owner) and owner != order.client:
        raise ManifestError(f"{owner} submits a job that {order.client} has ordered", hint=_SIGN_AGAIN, field="clientId")
    start = module.data[:2] if module.data is not None else blobs.read(module.sha256, 0, 2)
    is_right = is_ordered(
        order,
        is_signed_by,
        node=node,
        module=name_of(module),
        inputs=inputs_hash((name_of(each), each.size) for each in manifest.inputs),
        options=ordered(manifest.options, is_python=start == PYTHON),
    )
    if not is_right:
        raise ManifestError(
            f"{order.client} hasn't signed an order for this job on node {node}", hint=_SIGN_AGAIN, field="orderSignature"
        )


_SIGN_AGAIN = "submit it with the client's own key, or without an order: then the node signs for it"


def name_of(content: Content) -> str:
    """The SHA-256 of content, in hex."""
    return content.sha256 or sha256(content.data or b"").hexdigest()
