"""Random numbers that depend on nothing but the call: the function's name and its input.

How chunks are packed into tasks must not show in the result, so every call of split, execute or merge starts from the
same state of `random` and `os.urandom`, whatever ran before. Equal inputs draw equal numbers. The same code seeds the
guest and a native run (`JobDefinition.run_local`), so both draw the same.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        blocks = []
        for _ in range(-(-size // _BLOCK_BYTES)):
            blocks.append(hashlib.sha256(self._seed + self._counter.to_bytes(8, "little")).digest())
            self._counter += 1
        return b"".join(blocks)[:size]

    def seed_random(self) -> None:
        """Seed the module-level generator of `random` from the current call."""
        random.seed(int.from_bytes(self._seed, "little"))


def replace_entropy(urandom: Callable[[int], bytes]) -> Callable[[], None]:
    """Make `urandom` the only source of randomness in this process; returns what puts everything back.

    A generator made or seeded without a seed (`random.Random()`, `random.seed()`) would ask the system in C: its `seed`
    is replaced, too.
    """
    kept = (os.urandom, random._urandom, random.Random.seed, random.seed)  # type: ignore[attr-defined]

    def put(values: tuple[Any, Any, Any, Any]) -> None:
        os.urandom, random._urandom, random.Random.seed, random.seed = values  # type: ignore[attr-defined,method-assign]

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        kept[2](self, int.from_bytes(urandom(_BLOCK_BYTES), "little") if a is None else a, version)

    put((urandom, urandom, seed, lambda a=None, version=2: seed(random._inst, a, version)))
    return lambda: put(kept)


@contextmanager
def seeded_call(function: str, data: bytes) -> Iterator[None]:
    """Run the body with `random` and `os.urandom` seeded as in the guest, then put both back as they were."""
    entropy = CallEntropy()
    entropy.reseed(function, data)
    state = random.getstate()
    restore = replace_entropy(entropy.urandom)
    try:
        entropy.seed_random()
        yield
    finally:
        restore()
        random.setstate(state)
