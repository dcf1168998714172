"""Certificates that are nearly right: each proves a peer id, but for one thing."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from libp2p.crypto import rsa as libp2p_rsa
from libp2p.crypto import secp256k1 as libp2p_secp256k1
from libp2p.peer.id import ID
from libp2p.security.tls.certificate import LIBP2P_CERT_PREFIX, encode_signed_key

from pangea.compute.network.identity import Identity, certificate_of

EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
_ED25519 = bytes((8, 1, 0x12, 0x20))
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Forgery:
    """A certificate, or more than one, and the key of the first: PEM; and whom it would prove if it were right."""

    certificates: bytes
    key: bytes
    peer_id: str

    def load_into(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Let `context` show it."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.key + self.certificates)
            file.flush()
            context.load_cert_chain(file.name)
        return context


def public_bytes(host: Identity) -> bytes:
    """The host's public key as libp2p writes it."""
    raw = host.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _ED25519 + raw


def forge(
    host: Identity,
    *,
    key: Any = None,
    signed: Any = None,
    signer: Any = None,
    prefix: bytes = LIBP2P_CERT_PREFIX,
    public: bytes | None = None,
    damage: Callable[[bytes], bytes | None] = lambda extension: extension,
    age: datetime.timedelta = _DAY,
    left: datetime.timedelta = _DAY,
    unknown: bool = False,
) -> Forgery:
    """Honest, unless told otherwise.

    Args:
        host: whom it speaks of.
        key: the certificate's own; on P-256.
        signed: the key that the host has signed; the certificate's.
        signer: who signs the certificate; itself.
        prefix: what the host's signature begins with.
        public: the host's key as the extension writes it.
        damage: what becomes of the extension; None: it is left out.
        age: since when it is valid.
        left: for how much longer.
        unknown: whether it has a critical extension that nobody knows.
    """
    own = key or ec.generate_private_key(ec.SECP256R1())
    extension = encode_signed_key(public or public_bytes(host), host.key.sign(prefix + _spki(signed or own)))
    builder = _builder(own, age, left)
    if (written := damage(extension)) is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(EXTENSION, written), critical=False)
    if unknown:
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.53594.9.9"), b"\x05\x00")
        builder = builder.add_extension(odd, critical=True)
    return _finished(builder, own, signer or own, host.peer_id)


def of_another_kind(pair: Any) -> Forgery:
    """True in everything, but the host's key (py-libp2p's) isn't Ed25519."""
    own = ec.generate_private_key(ec.SECP256R1())
    extension = encode_signed_key(pair.public_key.serialize(), pair.private_key.sign(LIBP2P_CERT_PREFIX + _spki(own)))
    builder = _builder(own, _DAY, _DAY).add_extension(x509.UnrecognizedExtension(EXTENSION, extension), critical=False)
    return _finished(builder, own, own, str(ID.from_pubkey(pair.public_key)))


def stolen(host: Identity) -> Forgery:
    """Somebody's true extension in a certificate of one's own."""
    honest = x509.load_pem_x509_certificate(certificate_of(host)[0])
    value = honest.extensions.get_extension_for_oid(EXTENSION).value
    assert isinstance(value, x509.UnrecognizedExtension)
    return forge(host, damage=lambda _: value.value)


def with_another_behind(host: Identity) -> Forgery:
    """An honest certificate, and a second one."""
    first, second = forge(host), forge(Identity.create())
    return Forgery(first.certificates + second.certificates, first.key, first.peer_id)


def anybody() -> Forgery:
    """The neutral element as the host's key: without care in the check, one signature fits every message (RFC 8032, 5.1.7)."""
    neutral = b"\1" + bytes(31)
    own = ec.generate_private_key(ec.SECP256R1())
    extension = encode_signed_key(_ED25519 + neutral, neutral + bytes(32))
    builder = _builder(own, _DAY, _DAY).add_extension(x509.UnrecognizedExtension(EXTENSION, extension), critical=False)
    return _finished(builder, own, own, str(ID(bytes((0, 0x24)) + _ED25519 + neutral)))


def _builder(own: Any, age: datetime.timedelta, left: datetime.timedelta) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "libp2p")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(x509.random_serial_number())
    return builder.public_key(own.public_key()).not_valid_before(now - age).not_valid_after(now + left)


def _finished(builder: x509.CertificateBuilder, own: Any, signer: Any, peer_id: str) -> Forgery:
    certificate = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    text = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Forgery(certificate.public_bytes(serialization.Encoding.PEM), text, peer_id)


def _spki(key: Any) -> bytes:
    public = key if hasattr(key, "public_numbers") else key.public_key()
    spki: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return spki


_HOUR = datetime.timedelta(hours=1)
_NEW = ec.generate_private_key

#: What is wrong, and how it is made; with words of the reason for which it is refused.
FORGERIES: dict[str, tuple[Callable[[Identity], Forgery], str]] = {
    "no extension": (lambda host: forge(host, damage=lambda _: None), "extension"),
    "a stolen extension": (stolen, "signature is invalid"),
    "expired": (lambda host: forge(host, left=-_HOUR), "expired"),
    "not yet valid": (lambda host: forge(host, age=-_HOUR), "not yet valid"),
    "another prefix": (lambda host: forge(host, prefix=b"libp2p-tls-handshake"), "signature is invalid"),
    "a signature with a wrong bit": (
        lambda host: forge(host, damage=lambda good: good[:-40] + bytes([good[-40] ^ 1]) + good[-39:]),
        "signature is invalid",
    ),
    "signed by another": (lambda host: forge(host, signer=_NEW(ec.SECP256R1())), "another key than its own"),
    "an RSA host": (lambda _: of_another_kind(libp2p_rsa.create_new_key_pair(2048)), "isn't an ed25519 key"),
    "a secp256k1 host": (
        lambda _: of_another_kind(libp2p_secp256k1.create_new_key_pair()),
        "isn't an ed25519 key",
    ),
    "a key that fits every message": (lambda _: anybody(), "signature is invalid"),
    "a key that is written in another way": (
        lambda host: forge(host, public=public_bytes(host) + b"\x18\x01"),
        "isn't an ed25519 key",
    ),
    "a key of another kind, as long": (
        lambda host: forge(host, public=b"\x08\x02" + public_bytes(host)[2:]),
        "isn't an ed25519 key",
    ),
    "half a key": (lambda host: forge(host, public=public_bytes(host)[:20]), "isn't an ed25519 key"),
    "a certificate on P-384": (lambda host: forge(host, key=_NEW(ec.SECP384R1())), "p-256"),
    # Already TLS 1.3 has no name for signatures on this curve.
    "a certificate on secp256k1": (lambda host: forge(host, key=_NEW(ec.SECP256K1())), "no node at"),
    "a certificate with an RSA key": (lambda host: forge(host, key=rsa.generate_private_key(65537, 2048)), "p-256"),
    "a certificate with an Ed25519 key": (lambda host: forge(host, key=ed25519.Ed25519PrivateKey.generate()), "p-256"),
    "an empty extension": (lambda host: forge(host, damage=lambda _: b""), "extension"),
    "a garbled extension": (
        lambda host: forge(host, damage=lambda _: b"\x30\x84\xff\xff\xff\xff" * 9),
        "isn't an ed25519 key",
    ),
    "half an extension": (
        lambda host: forge(host, damage=lambda good: good[: len(good) // 2]),
        "isn't an ed25519 key",
    ),
    "an extension with more behind": (
        lambda host: forge(host, damage=lambda good: good + b"\0"),
        "isn't an ed25519 key",
    ),
    "a huge extension": (
        lambda host: forge(host, damage=lambda _: b"\x04\x83\x01\x00\x00" * 18_000),
        "isn't an ed25519 key",
    ),
    "an extension beyond all bounds": (lambda host: forge(host, damage=lambda _: bytes(1 << 20)), "excessive message size"),
    "two certificates": (with_another_behind, "one certificate"),
    "something critical that nobody knows": (lambda host: forge(host, unknown=True), "critical"),
}
