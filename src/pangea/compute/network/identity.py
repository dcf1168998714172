"""Who a node is: an Ed25519 key on disk, the libp2p peer id that names it, and TLS in which both ends prove theirs.

The certificate is self-signed and carries the libp2p extension: the host key's signature over the certificate's own key.
Sources: libp2p specs, peer-ids/peer-ids.md and tls/tls.md. Certificates and their check are py-libp2p's, which is loaded only
when TLS is spoken: it takes half a second.
"""

from __future__ import annotations

import os
import ssl
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import base58
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID
from nacl.bindings import crypto_core_ed25519_is_valid_point

from pangea.compute.model.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from typing import Self

#: Protobuf `PublicKey`: Type = Ed25519 (1), Data of 32 bytes; then the multihash: identity (0), 36 bytes.
_KEY_PREFIX = bytes((0x08, 0x01, 0x12, 0x20))
_IDENTITY_PREFIX = bytes((0x00, 0x24))
_KEY_BYTES = 32
#: Base58 of 38 bytes; longer texts aren't decoded, which takes as long as their length squared.
_PEER_ID_CHARACTERS_MAX = 52
#: Keys kept decoded: as many as a large tree has workers.
_KEYS_MAX = 4096
_MODE = 0o600
#: Since when a certificate is valid that is made now: by so much two machines' clocks may differ.
_BACKDATED = timedelta(days=1)
#: It lives in memory, as long as the process.
_VALID = timedelta(days=36_500)


@dataclass(frozen=True)
class Identity:
    """A node's key.

    Attributes:
        key: the Ed25519 private key.
    """

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def peer_id(self) -> str:
        """The libp2p peer id, `12D3KooW…`: base58 of the identity multihash of the public key."""
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base58.b58encode(_IDENTITY_PREFIX + _KEY_PREFIX + public).decode()

    def sign(self, data: bytes) -> bytes:
        """The key's signature over `data`: 64 bytes, always the same for the same data."""
        return self.key.sign(data)

    @classmethod
    def create(cls) -> Self:
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """The key in `path` (PEM, PKCS #8), made there if there is none.

        Raises:
            ConfigError: others may read the file, or it holds no Ed25519 key.
            UnavailableError: it can't be read or written.
        """
        try:
            if not path.exists():
                cls.create().save(path)
            mode = stat.S_IMODE(path.stat().st_mode)
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise UnavailableError(f"the key {path} can't be used: {(error.strerror or str(error)).lower()}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _no_key(path) from error
        if mode & 0o077:
            raise ConfigError(f"others may read the key {path} (mode {mode:o})", hint=f"chmod 600 {path}")
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_key(path)
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key to `path`, whole or not at all; never over another."""
        text = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
            os.link(file.name, path)


def is_signed_by(peer_id: str, data: bytes, signature: bytes) -> bool:
    """Whether `signature` over `data` was made with the key that `peer_id` names. Whatever strangers write gets an answer.

    Only peer ids that hold an Ed25519 key (`12D3KooW…`) can be checked; all others are False.

    Source: libp2p specs, peer-ids/peer-ids.md; RFC 8032.
    """
    key = _key_of(peer_id)
    if key is None:
        return False
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def is_peer_id(text: str) -> bool:
    """Whether `text` is the peer id of an Ed25519 key."""
    return _key_of(text) is not None


@lru_cache(maxsize=_KEYS_MAX)
def _key_of(peer_id: str) -> Ed25519PublicKey | None:
    """The key in a peer id; None if it holds none, or isn't the one way to write it."""
    if len(peer_id) > _PEER_ID_CHARACTERS_MAX:
        return None
    prefix = _IDENTITY_PREFIX + _KEY_PREFIX
    try:
        raw = base58.b58decode(peer_id)
        if base58.b58encode(raw).decode() != peer_id or not raw.startswith(prefix):
            return None  # the decoder overlooks spaces: one peer would have many names
        if not crypto_core_ed25519_is_valid_point(raw[len(prefix) :]):
            return None  # of a small order: one signature would do for any statement
        return Ed25519PublicKey.from_public_bytes(raw[len(prefix) :])
    except ValueError:  # not its alphabet, not even ASCII, or not 32 bytes
        return None


def _no_key(path: Path) -> ConfigError:
    return ConfigError(f"{path} holds no Ed25519 key", hint="move it away: the node then makes itself a new identity")


class PeerSSLObject(ssl.SSLObject):
    """A TLS connection whose handshake fails unless the other end proves its peer id, and may speak to us."""

    #: Of the other end; "" before the handshake.
    peer_id: str = ""

    def do_handshake(self) -> None:
        """Shake hands, then check who it is.

        Raises:
            ssl.SSLError: there is no certificate, or it proves nothing, or the wrong or an unwelcome peer.
        """
        super().do_handshake()
        chain = cast("Any", self)._sslobj.get_unverified_chain()  # public from Python 3.13; None: an earlier session goes on
        peer_id = _proven_peer(self.getpeercert(True), len(chain or ()))
        context = cast("_Context", self.context)
        if not context.is_welcome(peer_id):
            raise ssl.SSLCertVerificationError(f"peer {peer_id} is not welcome here")
        self.peer_id = peer_id


class _Context(ssl.SSLContext):
    is_welcome: Callable[[str], bool]


def server_context(identity: Identity, is_allowed: Callable[[str], bool]) -> ssl.SSLContext:
    """TLS 1.3 for a server that is `identity` and speaks to peers that `is_allowed`."""
    return _context(identity, ssl.PROTOCOL_TLS_SERVER, is_allowed)


def client_context(identity: Identity, *, want: str) -> ssl.SSLContext:
    """TLS 1.3 for a client that is `identity` and speaks to peer `want` only."""
    return _context(identity, ssl.PROTOCOL_TLS_CLIENT, lambda peer_id: peer_id == want)


def _context(identity: Identity, protocol: int, is_welcome: Callable[[str], bool]) -> ssl.SSLContext:
    try:
        from libp2p.security.tls.openssl_verify import install_skip_pkix_peer_verification
    except ImportError as error:
        raise UnavailableError("links over TCP need libp2p", hint="pip install 'pangea-compute[node]'") from error
    context = _Context(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_OPTIONAL if protocol == ssl.PROTOCOL_TLS_SERVER else ssl.CERT_NONE
    certificate, key = certificate_of(identity)
    with tempfile.NamedTemporaryFile() as file:  # the library takes names only; the key in it is the certificate's, not ours
        file.write(key + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    install_skip_pkix_peer_verification(context)  # self-signed certificates are asked for; the extension is the proof
    context.sslobject_class = PeerSSLObject
    context.is_welcome = is_welcome
    return context


def certificate_of(identity: Identity) -> tuple[bytes, bytes]:
    """A certificate that proves `identity`, and its own key: PEM."""
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.security.tls.certificate import generate_certificate

    seed = identity.key.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    pair: Any = create_new_key_pair(seed)
    certificate, key = generate_certificate(pair.private_key, _template())
    return certificate.encode(), key.encode()


def _template() -> x509.CertificateBuilder:
    """A certificate that is valid also where clocks are behind; py-libp2p's own allows them one hour between two peers."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "libp2p")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number()).subject_name(name).issuer_name(name)
    return builder.not_valid_before(now - _BACKDATED).not_valid_after(now + _VALID)


def _proven_peer(certificate: bytes | None, count: int) -> str:
    """The peer id that a certificate proves, the first of `count`.

    Raises:
        ssl.SSLCertVerificationError: it proves none.
    """
    from libp2p.peer.id import ID
    from libp2p.security.tls.certificate import pub_key_from_cert_chain

    if not certificate:
        raise ssl.SSLCertVerificationError("the peer showed no certificate")
    try:
        if count > 1:
            raise ValueError(f"one certificate is wanted, not {count}")
        shown = x509.load_der_x509_certificate(certificate)
        _check_form(shown)
        return str(ID.from_pubkey(pub_key_from_cert_chain([shown])))
    except Exception as error:  # whatever a stranger's bytes make a parser raise
        raise ssl.SSLCertVerificationError(f"the peer's certificate proves nothing: {error}") from error


def _check_form(certificate: x509.Certificate) -> None:
    """Refuse what py-libp2p's check lets pass, and keep strangers' bytes from what reads other kinds of keys.

    The spec allows more kinds than ours: hosts' keys are Ed25519 here, and certificates' on P-256, as libp2p makes them.

    Raises:
        ValueError: it isn't one that a node makes.
    """
    from libp2p.security.tls.certificate import LIBP2P_EXTENSION_OID, decode_signed_key, encode_signed_key

    own = certificate.public_key()
    if getattr(getattr(own, "curve", None), "name", "") != ec.SECP256R1.name:
        raise ValueError("the certificate's own key isn't on P-256")
    proof = certificate.extensions.get_extension_for_oid(LIBP2P_EXTENSION_OID)
    for each in certificate.extensions:
        if each.critical and each.oid != proof.oid and isinstance(each.value, x509.UnrecognizedExtension):
            raise ValueError(f"nobody here knows its critical extension {each.oid.dotted_string}")
    written = proof.value.public_bytes()
    signed = decode_signed_key(written)
    if written != encode_signed_key(signed.public_key_bytes, signed.signature):
        raise ValueError("there are bytes behind the extension")
    if len(signed.public_key_bytes) != len(_KEY_PREFIX) + _KEY_BYTES or not signed.public_key_bytes.startswith(_KEY_PREFIX):
        raise ValueError("the host has no Ed25519 key, or writes it in another way than libp2p does")
