"""The job's own check as what travels: a function of one call's bytes (`flow.own_check`) around the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pangea.compute.data.kinds import decode, encode
from pangea.compute.data.ndarrays import many_npy

#: A chunk that is several arrays, one behind the other: the arguments of a kernel.
ARGUMENTS = "arguments"


def checker(check: Callable[[Any, Any], Any], chunk_kind: str, result_kind: str) -> Callable[[bytes], bytes]:
    """`check`, given its chunk and its result as the job declares them.

    Args:
        check: the user's; returns whether the result is right.
        chunk_kind: what execute takes; or `ARGUMENTS`, a list of them.
        result_kind: what it returns.
    """

    def call_check(given: bytes) -> bytes:
        end = 36 + int.from_bytes(given[32:36], "little")  # a seed of 32 bytes, of which random numbers are made; a size
        result = decode(result_kind, given[end:])
        if encode(result_kind, result, "execute") != given[end:]:
            return b"\x00"  # the same value in other bytes isn't what execute gives
        chunk = many_npy(given[36:end]) if chunk_kind == ARGUMENTS else decode(chunk_kind, given[36:end])
        found = check(chunk, result)
        if type(found).__name__ not in ("bool", "bool_"):
            raise TypeError(f"check must return True or False, but returned {type(found).__name__}: {found!r:.200}")
        return b"\x01" if found else b"\x00"

    return call_check
