"""The user's functions as functions of bytes: what they take is decoded, what they return is encoded, as the job declares.

The same code wraps them in the guest and in a native run (`JobDefinition.run_local`), so both refuse the same in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pangea.compute.data import DataError, Table
from pangea.compute.data.from_numpy import is_numpy
from pangea.compute.data.kinds import decode, encode

Function = Callable[[Any], Any]

#: Can be iterated over, but as the result of split it is one value, not a list of chunks.
_SINGLE = (str, bytes, bytearray, memoryview, Mapping, Table)


def typed(role: str, function: Function, kinds: tuple[str, str]) -> Function:
    """`function`, from bytes to bytes (split: to bytes of each chunk; merge: from a list of bytes).

    Args:
        role: split, execute or merge.
        function: the user's.
        kinds: what it is declared to take and to return. If that is bytes, it is returned as it is.
    """
    given, made = kinds
    if given == made == "bytes":
        return function
    return {"split": _split, "execute": _execute, "merge": _merge}[role](function, given, made)


def _split(function: Function, given: str, made: str) -> Function:
    who = _named("split", function)

    def split(segment: bytes) -> Iterable[bytes]:
        chunks = function(_decoded(who, given, segment, "its segment"))
        if made == "bytes":
            return chunks  # type: ignore[no-any-return]  # who calls this looks at them
        if isinstance(chunks, _SINGLE) or is_numpy(chunks) or not isinstance(chunks, Iterable):
            what = f"{type(chunks).__name__}: {chunks!r:.200}"
            raise TypeError(f"{who} is declared output={made!r} and must return a list of chunks, but returned {what}")
        return [_encoded(f"{who}, chunk {index},", made, chunk) for index, chunk in enumerate(chunks)]

    return split


def _execute(function: Function, given: str, made: str) -> Function:
    who = _named("execute", function)

    def execute(chunk: bytes) -> bytes:
        return _encoded(who, made, function(_decoded(who, given, chunk, "its chunk")))

    return execute


def _merge(function: Function, given: str, made: str) -> Function:
    who = _named("merge", function)

    def merge(results: list[bytes]) -> bytes:
        values = [_decoded(who, given, result, f"result {index}") for index, result in enumerate(results)]
        return _encoded(who, made, function(values))

    return merge


def _decoded(who: str, kind: str, data: bytes, which: str) -> object:
    try:
        return decode(kind, data)
    except DataError as error:
        raise DataError(f"{who} is given {kind}, as declared, but {which} is none: {error}") from None


def _encoded(who: str, kind: str, value: object) -> bytes:
    if isinstance(value, Iterator):
        value = list(value)  # it runs the user's code, whose errors are theirs
    try:
        return encode(kind, value, who)
    except DataError as error:
        raise DataError(str(error)) from None


def _named(role: str, function: Function) -> str:
    """The role, and where the function is: an error of ours has no line of theirs in its traceback."""
    plain = function
    while hasattr(plain, "__wrapped__"):
        plain = plain.__wrapped__
    code = getattr(plain, "__code__", None)
    return f"{role} ({code.co_filename.rpartition('/')[2]}:{code.co_firstlineno})" if code else role
