"""The Merkle tree against a naive recursive one, and its proofs against every small change."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.verification import merkle

LISTS = st.lists(st.binary(max_size=3), min_size=1, max_size=70)
HASHES = st.binary(min_size=32, max_size=32)


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_of_two_below(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 9162, section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    if index < k:
        return [*naive_path(leaves[:k], index), naive_root(leaves[k:])]
    return [*naive_path(leaves[k:], index - k), naive_root(leaves[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_the_root_is_the_recursive_one_s(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == naive_root(leaves)


@given(LISTS, st.data())
def test_the_path_is_the_recursive_one_s_and_proves_its_leaf(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.path(leaves, index)
    assert list(path) == naive_path(leaves, index)
    assert merkle.verify(root=merkle.root(leaves), leaf=leaves[index], index=index, size=len(leaves), path=path)


@given(LISTS, st.data())
def test_a_proof_of_anything_else_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    root, path = merkle.root(leaves), merkle.path(leaves, index)
    other = data.draw(
        st.integers(-2, 2 * size).filter(lambda i: i != index and not (0 <= i < size and leaves[i] == leaves[index]))
    )
    assert not merkle.verify(root=root, leaf=leaves[index], index=other, size=size, path=path)
    assert not merkle.verify(root=root, leaf=leaves[index] + b"x", index=index, size=size, path=path)
    assert not merkle.verify(
        root=root[::-1] if root != root[::-1] else b"", leaf=leaves[index], index=index, size=size, path=path
    )
    assert not merkle.verify(root=root, leaf=leaves[index], index=index, size=size, path=(*path, root))
    if path:
        assert not merkle.verify(root=root, leaf=leaves[index], index=index, size=size, path=path[:-1])
        assert not merkle.verify(root=root, leaf=leaves[index], index=index, size=size, path=(*path[:-1], path[-1][:-1]))


@given(
    root=st.one_of(HASHES, st.binary(max_size=40)),
    leaf=st.binary(max_size=40),
    index=st.integers(-(1 << 70), 1 << 70),
    size=st.integers(-(1 << 70), 1 << 70),
    path=st.lists(st.one_of(HASHES, st.binary(max_size=40)), max_size=80),
)
def test_no_input_makes_the_check_raise(root: bytes, leaf: bytes, index: int, size: int, path: list[bytes]) -> None:
    assert merkle.verify(root=root, leaf=leaf, index=index, size=size, path=path) is False


@given(LISTS, st.integers(0, 69), st.binary(min_size=1, max_size=3))
def test_a_changed_leaf_changes_the_root(leaves: list[bytes], index: int, change: bytes) -> None:
    changed = list(leaves)
    changed[index % len(leaves)] += change
    assert merkle.root(changed) != merkle.root(leaves)
