"""A log as static files: its hashes in tiles of 256, eight levels of the tree a tile, and its entries in bundles.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

from collections.abc import Sequence

from pangea.compute.verification.merkle import leaf_hash, root_of_hashes

_WIDTH = 256


def tiles_of(entries: Sequence[bytes]) -> dict[str, bytes]:
    """The files of a log but for its checkpoint, by their names; lower levels first.

    Args:
        entries: all of them, each of at most 65,535 bytes.
    """
    files = {}
    for number, start in enumerate(range(0, len(entries), _WIDTH)):
        some = entries[start : start + _WIDTH]
        bundle = b"".join(len(each).to_bytes(2, "big") + each for each in some)
        files[f"tile/entries/{_place(number, len(some))}"] = bundle
    hashes, level = [leaf_hash(each) for each in entries], 0
    while hashes:
        for number, start in enumerate(range(0, len(hashes), _WIDTH)):
            part = hashes[start : start + _WIDTH]
            files[f"tile/{level}/{_place(number, len(part))}"] = b"".join(part)
        whole = len(hashes) // _WIDTH * _WIDTH
        hashes = [root_of_hashes(hashes[start : start + _WIDTH]) for start in range(0, whole, _WIDTH)]
        level += 1
    return files


def _place(number: int, count: int) -> str:
    """`x001/x234/067`, of a tile with fewer hashes `….p/count`."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    return "/".join(reversed(groups)) + ("" if count == _WIDTH else f".p/{count}")
