"""What surrounds a kernel in a job, as functions that travel with it: chunks become its arguments, results numbers again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from pangea.compute.data import DataError
from pangea.compute.data.from_numpy import is_numpy
from pangea.compute.data.ndarrays import array_of, npy_of

#: A type in short: what a .npy file calls a number of it, the number of axes, and what a signature says.
Short = tuple[str, int, str]


def with_arguments(split: Callable[[Any], Any], takes: tuple[Short, ...]) -> Callable[[Any], list[bytes]]:
    """`split`, whose chunks are written as what a kernel reads: one .npy file for each argument.

    Args:
        split: the user's; each of its chunks is the kernel's argument or, if it takes several, a tuple of them.
        takes: the types.
    """

    @functools.wraps(split)
    def split_to_arguments(segment: Any) -> list[bytes]:
        chunks = split(segment)
        if isinstance(chunks, str | bytes | dict) or is_numpy(chunks) or not isinstance(chunks, Iterable):
            raise TypeError(f"split must return a list of the kernel's arguments, but returned {type(chunks).__name__}")
        return [_written(chunk, takes, index) for index, chunk in enumerate(chunks)]

    return split_to_arguments


def with_numbers(merge: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """`merge`, which is given numbers for the arrays of one item that a kernel's numbers are written as."""

    @functools.wraps(merge)
    def merge_numbers(results: list[Any]) -> Any:
        return merge([result.tolist()[0] for result in results])

    return merge_numbers


def _written(chunk: Any, takes: tuple[Short, ...], index: int) -> bytes:
    arguments = chunk if len(takes) > 1 else (chunk,)
    wanted = ", ".join(name for _, _, name in takes)
    if not isinstance(arguments, tuple | list) or len(arguments) != len(takes):
        raise TypeError(f"chunk {index} of split must be a tuple of the kernel's arguments ({wanted}), not {chunk!r:.200}")
    files = []
    for number, (value, (descr, axes, name)) in enumerate(zip(arguments, takes, strict=True), 1):
        try:
            array = array_of(value, descr)
        except (DataError, TypeError) as error:
            raise TypeError(f"chunk {index} of split: argument {number} of the kernel is {name}: {error}") from None
        if array.ndim != axes:
            raise TypeError(f"chunk {index} of split: argument {number} of the kernel is {name}, not of {array.ndim} axes")
        files.append(npy_of(array))
    return b"".join(files)
