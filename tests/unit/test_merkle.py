"""The Merkle tree: the published vectors of Certificate Transparency, and proofs that nearly fit."""

from __future__ import annotations

from hashlib import sha256

import pytest

from pangea.compute.verification import merkle

# Source: certificate-transparency and transparency-dev/merkle, the reference tests of RFC 6962 (9162 has the same tree).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = """
    6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
    fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
    aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
    d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
    4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
    76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
    ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
    5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
""".split()
#: (index, size, path) of the reference tests' inclusion proofs.
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
LEAF = b"a leaf's own data"


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "expected"), PATHS)
def test_paths_are_those_of_the_reference(index: int, size: int, expected: list[str]) -> None:
    path = merkle.path(LEAVES[:size], index)
    assert [step.hex() for step in path] == expected
    root = bytes.fromhex(ROOTS[size - 1])
    assert merkle.verify(root=root, leaf=LEAVES[index], index=index, size=size, path=path)


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == sha256(b"").digest()


@pytest.mark.parametrize("index", [-1, 3, 1 << 70])
def test_there_is_no_path_to_a_leaf_that_isn_t_there(index: int) -> None:
    with pytest.raises(IndexError, match="of a tree of 3"):
        merkle.path(LEAVES[:3], index)


def test_a_node_can_t_be_passed_off_as_a_leaf() -> None:
    left, right = (sha256(b"\x00" + leaf).digest() for leaf in LEAVES[:2])
    assert merkle.root([left + right]) != merkle.root(LEAVES[:2])
    assert merkle.root([b"\x00" + LEAF]) != merkle.root([LEAF])


def test_the_root_of_a_tree_of_another_size_proves_nothing() -> None:
    two, path = merkle.root([b"a", b"b"]), merkle.path([b"a", b"b"], 1)
    assert not merkle.verify(root=two, leaf=b"b", index=0, size=1, path=path)
    assert not merkle.verify(root=merkle.root([b"a"]), leaf=b"a", index=0, size=2, path=())


def test_any_bytes_may_be_a_leaf() -> None:
    leaves = [b"", LEAF * 100, b"\x00"]
    assert merkle.verify(root=merkle.root(leaves), leaf=leaves[1], index=1, size=3, path=merkle.path(leaves, 1))
