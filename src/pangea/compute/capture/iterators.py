"""Iterators of `itertools` that have begun: by what the garbage collector sees of them, the same in each version of Python.

Those of which it doesn't see all are refused: `islice`, `takewhile` and others keep numbers and flags in C. `__reduce__` told
them until Python 3.14.
"""

from __future__ import annotations

import gc
import itertools
from typing import Any

from pangea.compute.capture.modules import type_name
from pangea.compute.capture.walk import Record, Walk

_HINT = "make it inside the function, or a list of it"


def refuse(walk: Walk, value: Any) -> Record:
    """Say that an iterator can't travel."""
    return walk.refuse(f"is an iterator of type {type_name(value)}", _HINT)


def parts(value: Any) -> list[Any]:
    """What an iterator holds, in the order of its structure in C."""
    return [each for each in gc.get_referents(value) if each is not type(value)]


def of_parts(walk: Walk, value: Any) -> Record:
    """An iterator that is made by a call with what it holds: `starmap` and `filterfalse` hold their function last."""
    held = parts(value)
    return _advanced(walk, type(value), held if type(value) is itertools.compress else held[::-1], 0)


def chain(walk: Walk, value: Any) -> Record:
    """`itertools.chain`: the iterator that it is in, and the iterator of those that follow."""
    source, present = (parts(value) or [iter(())])[:1], parts(value)[1:]
    if not present:
        return _advanced(walk, itertools.chain.from_iterable, source, 0)
    return _advanced(walk, itertools.chain, [*present, *map(itertools.chain.from_iterable, source)], 0)


def cycle(walk: Walk, value: Any) -> Record:
    """`itertools.cycle`: on its first round, what it has drawn and the iterator; then what it has drawn, from the next on."""
    *source, drawn = parts(value)
    if source:
        return _advanced(walk, itertools.cycle, [itertools.chain(list(drawn), *source)], len(drawn))
    return _advanced(walk, itertools.cycle, [[next(value) for _ in drawn]], 0)  # a whole round ends where it began


def accumulate(walk: Walk, value: Any) -> Record:
    """`itertools.accumulate`: its function, if any, its iterator, the total so far, if any, and what is to come first.

    What is to come first, or the total, is as if it were the first of the iterator's.
    """
    held = parts(value)
    *function, source = held[: 1 if _is_iterator(held[0]) else 2]
    total = held[len(function) + 1 :]
    if not function and (callable(source) or (len(total) > 1 and _is_iterator(total[0]))):
        return refuse(walk, value)  # it could be the function
    if len(total) == 1 and total[0] is None:
        return _advanced(walk, itertools.accumulate, [source, *function], 0)
    return _advanced(walk, itertools.accumulate, [itertools.chain(total[:1], source), *function], len(total) - 1)


def _is_iterator(value: Any) -> bool:
    return hasattr(type(value), "__next__")


def _advanced(walk: Walk, function: Any, arguments: list[Any], steps: int) -> Record:
    """What a call makes, after so many steps; these call nothing of the user's."""
    record: Record = ["advanced", walk.ref(function), walk.refs(arguments, "argument")]
    return [*record, steps]


ITERATORS: dict[type, Any] = {
    itertools.chain: chain,
    itertools.cycle: cycle,
    itertools.accumulate: accumulate,
    itertools.starmap: of_parts,
    itertools.filterfalse: of_parts,
    itertools.compress: of_parts,
}
