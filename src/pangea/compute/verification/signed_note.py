"""Checkpoints: a log's size and root, signed by the log's node, and by witnesses that saw it only grow.

A witness signs with the time at which it saw the checkpoint, so that nobody can say later that the log was longer then.
All keys are peers' own: a name ends with the peer id, which holds the key.

Sources: C2SP signed-note, tlog-checkpoint and tlog-cosignature (Ed25519).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Self

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.verification.receipts import CheckSignature, Sign

#: What names of logs and of witnesses begin with; a peer id follows.
LOG, WITNESS = "pangea-compute/log/", "pangea-compute/witness/"
#: A log with this many entries has more than any node's.
SIZE_MAX = 2**63 - 1
_ED25519, _COSIGNATURE = 1, 4
_KEY_ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 4, 8, 64
_SIGNATURES_MAX = 100
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_NAME = re.compile(r"[^\s+]{1,200}")
_SIGNATURE = re.compile(r"— (\S+) (\S+)")


@dataclass(frozen=True, slots=True)
class Signature:
    """A line below a note.

    Attributes:
        name: whose.
        data: key id, 4 bytes, and what that kind of key gives.
    """

    name: str
    data: bytes

    def line(self) -> str:
        """As it stands in the note."""
        return f"— {self.name} {base64.b64encode(self.data).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log was at some time.

    Attributes:
        peer: whose log it is.
        size: entries.
        root: over them, 32 bytes.
        signatures: as they came: the log's own, and witnesses'. Whether they are right is `is_signed`'s to say.
    """

    peer: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...] = ()

    def body(self) -> str:
        """What is signed."""
        return f"{LOG}{self.peer}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def text(self) -> str:
        """The note: body and signatures."""
        return "\n".join((self.body(), "".join(each.line() for each in self.signatures)))

    def signed(self, sign: Sign) -> Self:
        """The same with the log's own signature."""
        name = LOG + self.peer
        own = Signature(name, _key_id(name, _ED25519, self.peer) + sign(self.body().encode()))
        return replace(self, signatures=(own, *self.signatures))

    def cosigned(self, witness: str, seconds: int, sign: Sign) -> Self:
        """The same with the signature of `witness`, a peer that has seen it at `seconds` since 1970."""
        name = WITNESS + witness
        data = _key_id(name, _COSIGNATURE, witness) + seconds.to_bytes(_TIME_BYTES, "big") + sign(self._cosigned(seconds))
        return replace(self, signatures=(*self.signatures, Signature(name, data)))

    def by_log(self) -> Self:
        """The same without others' signatures."""
        return replace(self, signatures=tuple(each for each in self.signatures if each.name == LOG + self.peer))

    def by_others(self) -> Self:
        """The same with others' signatures alone."""
        return replace(self, signatures=tuple(each for each in self.signatures if each.name != LOG + self.peer))

    def is_signed(self, check: CheckSignature) -> bool:
        """Whether the log's node has signed it."""
        name = LOG + self.peer
        prefix = _key_id(name, _ED25519, self.peer)
        return any(
            check(self.peer, self.body().encode(), each.data[_KEY_ID_BYTES:])
            for each in self.signatures
            if each.name == name and each.data.startswith(prefix)
        )

    def witnesses(self, check: CheckSignature) -> dict[str, int]:
        """Peers that have seen it, and when, seconds since 1970; of each the first."""
        seen: dict[str, int] = {}
        for each in self.signatures:
            peer, start = each.name.removeprefix(WITNESS), _KEY_ID_BYTES + _TIME_BYTES
            if peer in (each.name, *seen) or not each.data.startswith(_key_id(each.name, _COSIGNATURE, peer)):
                continue
            seconds = int.from_bytes(each.data[_KEY_ID_BYTES:start], "big")
            if seconds <= SIZE_MAX and check(peer, self._cosigned(seconds), each.data[start:]):
                seen[peer] = seconds
        return seen

    def _cosigned(self, seconds: int) -> bytes:
        return f"cosignature/v1\ntime {seconds}\n{self.body()}".encode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note; its signatures are still to be checked.

        Raises:
            UnverifiedError: it isn't a checkpoint of a node's log.
        """
        body, middle, below = text.partition("\n\n")
        lines = body.split("\n")
        if not middle or len(lines) != 3 or not lines[0].startswith(LOG) or not below.endswith("\n"):
            raise unreadable("it has no checkpoint of a node's log: three lines, an empty one, signatures")
        return cls(
            peer=lines[0].removeprefix(LOG),
            size=decimal(lines[1]),
            root=digest(lines[2]),
            signatures=tuple(_signatures(below.removesuffix("\n").split("\n"))),
        )


def unreadable(what: str) -> UnverifiedError:
    """The error about a file that is none of a log's."""
    return UnverifiedError(f"the log's file can't be read: {what}", hint="ask for the file again, as it was written")


def decimal(text: str) -> int:
    """A whole number in the one way to write it.

    Raises:
        UnverifiedError: it isn't that.
    """
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) > SIZE_MAX:
        raise unreadable(f"{text[:40]!r} is no number of entries")
    return int(text)


def digest(text: str) -> bytes:
    """32 bytes in base64.

    Raises:
        UnverifiedError: it isn't that.
    """
    data = decoded(text)
    if len(data) != 32:
        raise unreadable(f"{text[:60]!r} is no hash")
    return data


def decoded(text: str) -> bytes:
    """Bytes in base64, written in the one way that is right.

    Raises:
        UnverifiedError: it isn't that.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if base64.b64encode(data).decode() != text:
        raise unreadable(f"{text[:60]!r} is no base64")
    return data


def signature_in(line: str) -> Signature:
    """Read a line below a note.

    Raises:
        UnverifiedError: it is none.
    """
    found = _SIGNATURE.fullmatch(line.removesuffix("\n"))
    if found is None or not _NAME.fullmatch(found[1]):
        raise unreadable(f"{line[:60]!r} is no signature")
    return Signature(found[1], decoded(found[2]))


def _signatures(lines: list[str]) -> Iterator[Signature]:
    if len(lines) > _SIGNATURES_MAX:
        raise unreadable(f"it has {len(lines):,} signatures; at most {_SIGNATURES_MAX}")
    yield from map(signature_in, lines)


def _key_id(name: str, kind: int, peer: str) -> bytes:
    """Names a key among those of a name; not a check of anything."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + _key_in(peer)).digest()[:_KEY_ID_BYTES]


def _key_in(peer: str) -> bytes:
    """The last 32 bytes of a peer id: its key, if it is one; whoever checks signatures checks that."""
    value = 0
    for sign in peer[:64]:
        value = value * 58 + max(0, _ALPHABET.find(sign))
    return (value % (1 << 256)).to_bytes(32, "big")
