"""What nodes say of themselves, signed, and how it travels. Pure; everything read here may be a stranger's.

A statement is a line of JSON that its author signed: whoever passes it on can't change it, so hearsay can be old but not false.
A message is one JSON object: the teller's own statement, and statements of others with how long ago the teller's chain met them.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pangea.compute.model.errors import ConfigError
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress

#: Of one message, and of one statement's text.
MESSAGE_BYTES_MAX: Final = 65_536
STATEMENT_BYTES_MAX: Final = 4_096
#: Statements of others in one message.
TOLD_MAX: Final = 64
#: Addresses of one kind in one statement, and the length of each.
ADDRESSES_MAX: Final = 8
ADDRESS_CHARACTERS_MAX: Final = 160
SITE_CHARACTERS_MAX: Final = 64
DEPTH_MAX: Final = 64
FREE_PLACES_MAX: Final = 1_000_000
#: Ages are told in seconds; a day is as good as for ever.
_AGE_SECONDS_MAX: Final = 86_400.0
_AT_MAX: Final = 2**53
#: So that a signature made for this is good for nothing else.
_DOMAIN: Final = b"pangea-peer-statement-1:"
#: Peer id of an Ed25519 key: identity multihash of 36 bytes; protobuf PublicKey: type 1, 32 bytes. Source: libp2p peer-ids.md.
_PEER_PREFIX: Final = bytes.fromhex("002408011220")
_HOST = re.compile(r"/ip(?P<version>[46])/(?P<ip>[0-9a-fA-F:.]{2,39})/tcp/(?P<port>[0-9]{1,5})")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]*")


class BadStatementError(ValueError):
    """What a peer said is malformed, too much, or not said by whom it names. Never leaves the discovery of a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """What a node says of itself.

    Attributes:
        rpc: its addresses for RPC, `tcp://host:port/PEER`, at most 8; 0.0.0.0 and [::] mean every address of the machine.
        takes_children: whether it does now.
        depth: steps to the root of its tree, 0 to 64.
        is_root: whether it is one.
        site: a label of where it is, up to 64 characters.
        free_places: children that it could still take.
    """

    rpc: tuple[str, ...] = ()
    takes_children: bool = False
    depth: int = 0
    is_root: bool = False
    site: str = ""
    free_places: int = 0

    def check(self, peer: str) -> None:
        """Check it as that of `peer`.

        Raises:
            ConfigError: a field is out of range, or an address isn't that peer's.
        """
        if len(self.rpc) > ADDRESSES_MAX:
            raise ConfigError(f"a node advertises at most {ADDRESSES_MAX} RPC addresses, not {len(self.rpc)}")
        for text in self.rpc:
            if len(text) > ADDRESS_CHARACTERS_MAX:
                raise ConfigError(
                    f"the RPC address {text[:40]!r}… has {len(text)} characters, at most {ADDRESS_CHARACTERS_MAX} are allowed"
                )
            address = NodeAddress.parse(text) if text.startswith("tcp://") else None
            if address is None or address.peer != peer:
                raise ConfigError(f"{text!r} is not an RPC address of {peer}", hint="give it as tcp://host:port/PEER_ID")
        for name, value, most in (("depth", self.depth, DEPTH_MAX), ("free_places", self.free_places, FREE_PLACES_MAX)):
            if not 0 <= value <= most:
                raise ConfigError(f"{name} is {value}, allowed are 0 to {most}")
        if len(self.site) > SITE_CHARACTERS_MAX or not _PRINTABLE.fullmatch(self.site):
            raise ConfigError(f"the site {self.site[:20]!r} must have at most {SITE_CHARACTERS_MAX} printable characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An advertisement with its author, as signed.

    Attributes:
        peer: who says it.
        at: when, in ms of the author's clock: of two statements of one author the later counts.
        hosts: multiaddrs of its discovery, `/ip4/…/tcp/…`.
        speaks_dht: whether it takes part in the DHT.
        advertisement: what it says.
        text, signature: as they travel.
    """

    peer: str
    at: int
    hosts: tuple[str, ...]
    speaks_dht: bool
    advertisement: Advertisement
    text: str
    signature: str


def sign(identity: Identity, advertisement: Advertisement, *, hosts: Sequence[str], speaks_dht: bool, at: int) -> Statement:
    """Say `advertisement` as `identity`, at `at` (ms).

    Raises:
        ConfigError: it may not be said.
    """
    peer = identity.peer_id
    advertisement.check(peer)
    fields = {"peer": peer, "at": at, "hosts": list(hosts), "dht": speaks_dht, **asdict(advertisement)}
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    assert len(text) <= STATEMENT_BYTES_MAX, "the bounds of its fields leave room"
    signature = identity.key.sign(_DOMAIN + text.encode()).hex()
    hosts = tuple(hosts)
    return Statement(
        peer=peer, at=at, hosts=hosts, speaks_dht=speaks_dht, advertisement=advertisement, text=text, signature=signature
    )


def read(text: str, signature: str, *, knows_loopback: bool) -> Statement:
    """Read a stranger's statement.

    Args:
        text: what was said.
        signature: hex.
        knows_loopback: whether addresses on loopback mean anything here; else they are left out. Who isn't on loopback
            itself would only knock at its own doors.

    Raises:
        BadStatementError: it is malformed, or not signed by whom it names.
    """
    if len(text.encode(errors="replace")) > STATEMENT_BYTES_MAX:
        raise BadStatementError(f"the statement is longer than {STATEMENT_BYTES_MAX} bytes")
    fields = _object(text)
    peer = _text(fields, "peer")
    _verify(peer, text, signature)
    rpc = tuple(each for each in _texts(fields, "rpc") if _is_of(each, peer) and _is_usable(_host_in(each), knows_loopback))
    hosts = tuple(each for each in _texts(fields, "hosts") if (ip := host_ip(each)) and _is_usable(ip, knows_loopback))
    said = Advertisement(
        rpc=rpc,
        takes_children=_flag(fields, "takes_children"),
        depth=_count(fields, "depth", DEPTH_MAX),
        is_root=_flag(fields, "is_root"),
        site=_text(fields, "site"),
        free_places=_count(fields, "free_places", FREE_PLACES_MAX),
    )
    if len(said.site) > SITE_CHARACTERS_MAX or not _PRINTABLE.fullmatch(said.site):
        raise BadStatementError("the site is too long or not printable")
    at, speaks_dht = _count(fields, "at", _AT_MAX), _flag(fields, "dht")
    return Statement(peer=peer, at=at, hosts=hosts, speaks_dht=speaks_dht, advertisement=said, text=text, signature=signature)


def write_message(own: Statement, told: Sequence[tuple[Statement, float]]) -> bytes:
    """A message: `own`, and of `told` (statement, age in seconds) as many as fit, the first first."""
    parts = [json.dumps([each.text, each.signature, round(age, 1)]).encode() for each, age in told[:TOLD_MAX]]
    head = b'{"me":' + json.dumps([own.text, own.signature]).encode() + b',"known":['
    room = MESSAGE_BYTES_MAX - len(head) - len(b"]}")
    fitting: list[bytes] = []
    for part in parts:
        room -= len(part) + 1
        if room < 0:
            break
        fitting.append(part)
    return head + b",".join(fitting) + b"]}"


def read_message(message: bytes) -> tuple[tuple[str, str], list[tuple[str, str, float]]]:
    """Take a message apart: its teller's own statement, and what it tells of others. Nothing is verified yet.

    Raises:
        BadStatementError: it isn't of that form, or tells more than it may.
    """
    if len(message) > MESSAGE_BYTES_MAX:
        raise BadStatementError(f"the message is longer than {MESSAGE_BYTES_MAX} bytes")
    fields = _object(message)
    own, told = fields.get("me"), fields.get("known")
    if not isinstance(own, list) or not isinstance(told, list) or len(own) != 2:
        raise BadStatementError("the message doesn't say who sends it and whom it knows")
    if len(told) > TOLD_MAX:
        raise BadStatementError(f"the message tells of {len(told)} peers, at most {TOLD_MAX} are allowed")
    if not all(isinstance(each, list) and len(each) == 3 for each in told):
        raise BadStatementError("what the message tells of others is malformed")
    return (_str(own[0]), _str(own[1])), [(_str(text), _str(signature), _age(age)) for text, signature, age in told]


def host_ip(multiaddr: str) -> str | None:
    """The IP in a `/ip4/…/tcp/…` or `/ip6/…/tcp/…`; None if it is neither."""
    found = _HOST.fullmatch(multiaddr) if len(multiaddr) <= ADDRESS_CHARACTERS_MAX else None
    if found is None or not 0 < int(found["port"]) < 65_536:
        return None
    try:
        return found["ip"] if ipaddress.ip_address(found["ip"]).version == int(found["version"]) else None
    except ValueError:
        return None


def _verify(peer: str, text: str, signature: str) -> None:
    try:
        name = base58.b58decode(peer) if len(peer) <= ADDRESS_CHARACTERS_MAX else b""
        if len(name) != len(_PEER_PREFIX) + 32 or not name.startswith(_PEER_PREFIX):
            raise BadStatementError("the statement names no peer with an Ed25519 key")
        Ed25519PublicKey.from_public_bytes(name[len(_PEER_PREFIX) :]).verify(bytes.fromhex(signature), _DOMAIN + text.encode())
    except (InvalidSignature, ValueError) as error:
        raise BadStatementError(f"the statement isn't signed by {peer[:60]!r}, whom it names") from error


def _is_of(address: str, peer: str) -> bool:
    try:
        return address.startswith("tcp://") and NodeAddress.parse(address).peer == peer
    except ConfigError:
        return False


def _host_in(address: str) -> str:
    return NodeAddress.parse(address).host


def _is_usable(host: str, knows_loopback: bool) -> bool:
    """Whether somebody else can mean anything by this IP address or name."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return knows_loopback or not host.lower().rstrip(".").endswith("localhost")
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return not (mapped.is_unspecified or mapped.is_multicast) and (knows_loopback or not mapped.is_loopback)


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: UnicodeDecodeError and digits beyond the limit, too
        raise BadStatementError("what the peer said is no JSON") from error
    if not isinstance(found, dict):
        raise BadStatementError("what the peer said is no JSON object")
    return found


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise BadStatementError("a text was expected")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise BadStatementError("a text has characters that are none") from error
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    return _str(fields.get(name))


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    values = fields.get(name)
    if not isinstance(values, list) or len(values) > ADDRESSES_MAX:
        raise BadStatementError(f"{name} must be a list of at most {ADDRESSES_MAX}")
    found = [_str(value) for value in values]
    if any(len(each) > ADDRESS_CHARACTERS_MAX for each in found):
        raise BadStatementError(f"{name} has an entry longer than {ADDRESS_CHARACTERS_MAX} characters")
    return found


def _flag(fields: dict[str, Any], name: str) -> bool:
    if not isinstance(value := fields.get(name), bool):
        raise BadStatementError(f"{name} must be true or false")
    return value


def _count(fields: dict[str, Any], name: str, most: int) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise BadStatementError(f"{name} must be a whole number from 0 to {most}")
    return value


def _age(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise BadStatementError("an age must be a number of seconds")
    return min(float(value), _AGE_SECONDS_MAX)
