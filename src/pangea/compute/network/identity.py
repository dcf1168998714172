"""Who a node is: an Ed25519 key on disk, the libp2p peer id that names it, and TLS in which both ends prove theirs.

A certificate is self-signed and carries the libp2p extension: the host key's signature over the certificate's own key. It is made
and checked here and not by py-libp2p, which brings libraries that need a compiler, and half a second to load; it speaks TLS with
ours in a test, both ways. Hosts' keys are Ed25519 and certificates' on P-256, the kinds that nodes make: of all that strangers
may show, nothing else is read.

Sources: libp2p specs, peer-ids/peer-ids.md and tls/tls.md.
"""

from __future__ import annotations

import ctypes
import os
import ssl
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import base58
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID, ObjectIdentifier
from nacl.bindings import crypto_core_ed25519_is_valid_point

from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.network.small_files import read_small

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
#: An Ed25519 key has 119 bytes; others are refused by name once they are read.
_KEY_BYTES_MAX = 64 << 10
_EXTENSION = ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
_SIGNED_PREFIX = b"libp2p-tls-handshake:"
#: DER: a sequence of an octet string, the key of 36 bytes, and another, its signature of 64.
_PUBLIC_BYTES, _SIGNATURE_BYTES = 36, 64
_BEFORE_KEY = bytes((0x30, 2 + _PUBLIC_BYTES + 2 + _SIGNATURE_BYTES, 0x04, _PUBLIC_BYTES))
_BEFORE_SIGNATURE = bytes((0x04, _SIGNATURE_BYTES))
#: A certificate proves a key, whatever anybody's clock says: a machine without a battery begins at 1970.
#: Source: RFC 5280, 4.1.2.5, for what has no end.
_VALID_FROM = datetime(1970, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
#: OpenSSL's SSL_VERIFY_PEER: the other end is asked for a certificate.
_VERIFY_PEER = 1


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
        return peer_id_of(self.public)

    @property
    def public(self) -> bytes:
        """The public key as libp2p writes it: 36 bytes."""
        return _KEY_PREFIX + self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

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
                with suppress(FileExistsError):  # another process was faster: its key is the one
                    cls.create().save(path)
            mode = stat.S_IMODE(path.stat().st_mode)
            key = serialization.load_pem_private_key(read_small(path, _KEY_BYTES_MAX), None)
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


def peer_id_of(public: bytes) -> str:
    """The peer id of a key as libp2p writes it."""
    return base58.b58encode(_IDENTITY_PREFIX + public).decode()


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
        peer_id = _peer_of(self.getpeercert(True), len(chain or ()))
        context = cast("_Context", self.context)
        if not context.is_welcome(peer_id):
            raise UnwelcomeError(peer_id)
        self.peer_id = peer_id


class UnwelcomeError(ssl.SSLCertVerificationError):
    """Somebody has proved to be a peer that isn't wanted here, or that nobody has dialled."""

    def __init__(self, peer: str) -> None:
        """`peer` is who it is."""
        super().__init__(f"peer {peer} is not welcome here")
        self.peer = peer


class _Context(ssl.SSLContext):
    is_welcome: Callable[[str], bool]


def server_context(identity: Identity, is_allowed: Callable[[str], bool]) -> ssl.SSLContext:
    """TLS 1.3 for a server that is `identity` and speaks to peers that `is_allowed`."""
    return _context(identity, ssl.PROTOCOL_TLS_SERVER, is_allowed)


def client_context(identity: Identity, *, want: str) -> ssl.SSLContext:
    """TLS 1.3 for a client that is `identity` and speaks to peer `want` only."""
    return _context(identity, ssl.PROTOCOL_TLS_CLIENT, lambda peer_id: peer_id == want)


def _context(identity: Identity, protocol: int, is_welcome: Callable[[str], bool]) -> ssl.SSLContext:
    context = _Context(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_OPTIONAL if protocol == ssl.PROTOCOL_TLS_SERVER else ssl.CERT_NONE
    certificate, key = certificate_of(identity)
    with tempfile.NamedTemporaryFile() as file:  # the library takes names only; the key in it is the certificate's, not ours
        file.write(key + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    _take_self_signed(context)
    context.sslobject_class = PeerSSLObject
    context.is_welcome = is_welcome
    return context


def _peer_of(certificate: bytes | None, count: int) -> str:
    """The peer that shows a certificate, the first of `count`.

    Raises:
        ssl.SSLCertVerificationError: it proves none.
    """
    if not certificate:
        raise ssl.SSLCertVerificationError("the peer showed no certificate")
    try:
        if count > 1:
            raise ValueError(f"one certificate is wanted, not {count}")
        return _proven_peer(certificate)
    except Exception as error:  # whatever a stranger's bytes make a parser raise
        raise ssl.SSLCertVerificationError(f"the peer's certificate proves nothing: {error}") from error


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


#: OpenSSL keeps a pointer to this for as long as the process lives.
_accept = _Callback(lambda _was_accepted, _store: 1)


@lru_cache(maxsize=1)
def _set_verify() -> Any:
    """OpenSSL's function, of the very library that Python's `ssl` is linked with: it is loaded already."""
    import _ssl

    library = ctypes.CDLL(_ssl.__file__) if getattr(_ssl, "__file__", None) else ctypes.CDLL(None)
    function = library.SSL_CTX_set_verify
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_int, _Callback], None
    return function


def _take_self_signed(context: ssl.SSLContext) -> None:
    """Have certificates asked for and not judged: they are self-signed, and the check above is the proof.

    Python has no way to say so: CERT_OPTIONAL refuses self-signed ones, CERT_NONE asks for none. So OpenSSL is told itself; its
    context is the first field of CPython's object, behind the head.

    Raises:
        UnavailableError: this Python has it elsewhere.
    """
    try:
        pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
        _set_verify()(pointer, _VERIFY_PEER, _accept)
    except (OSError, AttributeError) as error:
        raise UnavailableError(
            f"this Python's OpenSSL can't be reached: {error}", hint="use CPython from Debian or python.org"
        ) from error
    if context.verify_mode == ssl.CERT_NONE:
        raise UnavailableError("this Python keeps OpenSSL's context elsewhere", hint="use CPython 3.11 to 3.14")


def certificate_of(identity: Identity) -> tuple[bytes, bytes]:
    """A certificate that proves `identity`, and its own key: PEM."""
    own = ec.generate_private_key(ec.SECP256R1())
    signature = identity.sign(_SIGNED_PREFIX + _spki(own.public_key()))
    proof = x509.UnrecognizedExtension(_EXTENSION, _BEFORE_KEY + identity.public + _BEFORE_SIGNATURE + signature)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "libp2p")])
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number()).subject_name(name).issuer_name(name)
    builder = builder.not_valid_before(_VALID_FROM).not_valid_after(_VALID_UNTIL).public_key(own.public_key())
    certificate = builder.add_extension(proof, critical=False).sign(own, hashes.SHA256())
    key = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), key


def _proven_peer(der: bytes) -> str:
    """The peer id that a certificate proves.

    Raises:
        ValueError: it proves none. Whatever strangers' bytes make the parser raise is another of these, or of its own kinds.
    """
    certificate = x509.load_der_x509_certificate(der)
    own = certificate.public_key()
    if not isinstance(own, ec.EllipticCurvePublicKey) or own.curve.name != ec.SECP256R1.name:
        raise ValueError("the certificate's own key isn't on P-256")
    public, signature = _proof_in(certificate)
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        raise ValueError("the certificate has expired or is not yet valid")
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature as error:
        raise ValueError("the certificate is signed by another key than its own") from error
    peer_id = peer_id_of(public)
    if not is_signed_by(peer_id, _SIGNED_PREFIX + _spki(own), signature):
        raise ValueError("the host's signature is invalid")
    return peer_id


def _proof_in(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """The host's key, and its signature."""
    written = b""
    for each in certificate.extensions:
        if each.oid == _EXTENSION:
            written = each.value.public_bytes()
        elif each.critical and isinstance(each.value, x509.UnrecognizedExtension):
            raise ValueError(f"nobody here knows its critical extension {each.oid.dotted_string}")
    if not written:
        raise ValueError("it hasn't libp2p's extension")
    public = written[len(_BEFORE_KEY) :][:_PUBLIC_BYTES]
    signature = written[-_SIGNATURE_BYTES:]
    if written != _BEFORE_KEY + public + _BEFORE_SIGNATURE + signature or not public.startswith(_KEY_PREFIX):
        raise ValueError("its extension isn't an Ed25519 key and a signature")
    return public, signature


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
