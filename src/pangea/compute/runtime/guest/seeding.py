"""Random numbers that depend on nothing but the call: the function's name and its input.

How chunks are packed into tasks must not show in the result, so every call of split, execute or merge starts from the
same state of `random` and `os.urandom`, whatever ran before. Equal inputs draw equal numbers. The same code seeds the
guest and a native run (`JobDefinition.run_local`), so both draw the same.
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
import sys
from collections.abc import Callable
from typing import Any

_BLOCK_BYTES = hashlib.sha256().digest_size


class CallEntropy:
    """A counter-mode SHA-256 stream that replaces `os.urandom` for the length of one call."""

    def __init__(self) -> None:
        """Start with an empty seed; `reseed` comes before each call."""
        self._seed = b""
        self._counter = 0

    def reseed(self, function: str, data: bytes) -> None:
        """Set the stream to the start that belongs to `function` called with `data`."""
        digest = hashlib.sha256(function.encode() + b"\0")
        digest.update(data)
        self._seed = digest.digest()
        self._counter = 0

    def urandom(self, size: int, /) -> bytes:
        """Draw `size` bytes, as `os.urandom` would."""
        if size < 0:
            raise ValueError("negative argument not allowed")
        blocks = []
        for _ in range(-(-size // _BLOCK_BYTES)):
            blocks.append(hashlib.sha256(self._seed + self._counter.to_bytes(8, "little")).digest())
            self._counter += 1
        return b"".join(blocks)[:size]

    def seed_random(self) -> None:
        """Seed the module-level generators of `random` and, where it is loaded, of `numpy.random` from the current call."""
        random.seed(int.from_bytes(self._seed, "little"))
        self.seed_arrays()

    def seed_arrays(self) -> None:
        """Seed the module-level generator of `numpy.random`, where it is loaded, from the current call."""
        if arrays := sys.modules.get("numpy.random"):
            arrays.seed(self.words())

    def words(self) -> list[int]:
        """What `numpy.random.seed` is given: the current call as numbers of 32 bits."""
        return [word for (word,) in struct.iter_unpack("<I", self._seed)]


def replace_entropy(urandom: Callable[[int], bytes]) -> None:
    """Make `urandom` the only source of randomness in this process.

    A generator made or seeded without a seed (`random.Random()`, `random.seed()`) would ask the system in C: its `seed`
    is replaced, too.
    """
    ordinary = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        ordinary(self, int.from_bytes(urandom(_BLOCK_BYTES), "little") if a is None else a, version)

    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]
    random.Random.seed = seed  # type: ignore[method-assign]
    random.seed = lambda a=None, version=2: seed(random._inst, a, version)
