"""A Merkle tree over a list: 32 bytes commit to all of it, and prove any item of it with one hash per level.

Leaves are any bytes; here they are `commitment.leaf_hash`es. Leaf and node hashes have different prefixes, so a node can't be
passed off as a leaf. The tree over n leaves has the largest full tree to the left, as in the RFC: level by level that is
hashing neighbours in pairs, and letting an odd last one rise.

A tree may also grow (a log): `Frontier` has its root as leaves come, `consistency` proves that one begins with another.

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
    return root_of_hashes([leaf_hash(leaf) for leaf in leaves])


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a tree of one leaf."""
    return sha256(_LEAF + leaf).digest()


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The hash over trees of equal size, at least one, whose hashes these are, in order."""
    level = [*hashes]
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


class Frontier:
    """The roots of the full trees that a growing tree is made of: adding a leaf costs a hash, now and then a few more.

    Attributes:
        size: leaves so far.
    """

    def __init__(self) -> None:
        """The empty tree."""
        self.size: int = 0
        self._roots: list[bytes] = []  # the largest first

    def add(self, leaf: bytes) -> None:
        """One more leaf."""
        node, place = sha256(_LEAF + leaf).digest(), self.size
        while place & 1:
            node = sha256(_NODE + self._roots.pop() + node).digest()
            place >>= 1
        self._roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The hash of all leaves, 32 bytes: `merkle.root` of them."""
        if not self._roots:
            return sha256().digest()
        node = self._roots[-1]
        for left in self._roots[-2::-1]:
            node = sha256(_NODE + left + node).digest()
        return node


def consistency(leaves: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """The hashes that prove that the tree of all `leaves` begins with that of the first `old`; none if they are equal.

    Raises:
        IndexError: there are fewer leaves.
    """
    if not 0 <= old <= len(leaves):
        raise IndexError(f"the first {old} of a tree of {len(leaves)}")
    return tuple(_subproof(leaves, old, is_whole=True)) if old else ()


def _subproof(leaves: Sequence[bytes], old: int, *, is_whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if is_whole else [root(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= half:
        return [*_subproof(leaves[:half], old, is_whole=is_whole), root(leaves[half:])]
    return [*_subproof(leaves[half:], old - half, is_whole=False), root(leaves[:half])]


def is_consistent(*, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with that of `old`. Any input gets an answer, in time of its own length.

    Source: RFC 9162, section 2.1.4.2.
    """
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        is_same = old_root == (new_root if old == new else sha256().digest())
        return is_same and not proof
    path = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    if not path:
        return False
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            before, after = sha256(_NODE + step + before).digest(), sha256(_NODE + step + after).digest()
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = sha256(_NODE + after + step).digest()
        first, last = first >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _parents(level: list[bytes]) -> list[bytes]:
    """The level above: neighbours hashed in pairs, an odd last one as it is."""
    above = [sha256(_NODE + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above
