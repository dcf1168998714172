"""A Merkle tree over a list: 32 bytes commit to all of it, and prove any item of it with one hash per level.

Leaves are any bytes; here they are `commitment.leaf_hash`es. Leaf and node hashes have different prefixes, so a node can't be
passed off as a leaf. The tree over n leaves has the largest full tree to the left, as in the RFC: level by level that is
hashing neighbours in pairs, and letting an odd last one rise.

Source: RFC 9162, section 2.1 (the same tree as RFC 6962).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

_LEAF, _NODE = b"\x00", b"\x01"


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash of the whole list, 32 bytes; of an empty one too."""
    if not leaves:
        return sha256().digest()
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes that, with leaf `index`, make the root: from the leaf's sibling upwards.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of a tree of {len(leaves)}")
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    found = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            found.append(level[sibling])
        level = _parents(level)
        index >>= 1
    return tuple(found)


def verify(*, root: bytes, leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bool:
    """Whether `leaf` is number `index` of the `size` leaves under `root`. Any input gets an answer, in time of its own length.

    `index` and `size` must be the caller's own: a path alone doesn't say how long the list is.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    last = size - 1
    node = sha256(_LEAF + leaf).digest()
    for step in path:
        if last == 0:
            return False  # a deeper tree than `size` leaves make, whatever its root
        if index & 1 or index == last:
            node = sha256(_NODE + step + node).digest()
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            node = sha256(_NODE + node + step).digest()
        index >>= 1
        last >>= 1
    return last == 0 and node == root


def _parents(level: list[bytes]) -> list[bytes]:
    """The level above: neighbours hashed in pairs, an odd last one as it is."""
    above = [sha256(_NODE + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above
