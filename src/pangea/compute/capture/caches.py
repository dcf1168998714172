"""What `functools.lru_cache` keeps: the calls that it knows the results of.

C keeps them, and shows them to the garbage collector alone: first, for a cache with a limit, each key and result, the one used
longest ago first, each followed by the type of what holds them; then the dictionary, which is all that one without a limit has.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

_ELEMENT = "_lru_list_elem"
#: Characters of an archive that what one cache keeps may take.
MOST_KEPT = 1 << 20
#: A job's counts of hits and misses are made by as many calls.
MOST_COUNTED = 100_000

Call = tuple[tuple[Any, ...], dict[str, Any], Any]


def calls_kept(cached: Any) -> tuple[Call, ...]:
    """Arguments, keywords and result of each call whose result is kept, the one used longest ago first."""
    if not cached.cache_info().currsize:
        return ()
    held = gc.get_referents(cached)
    mark = next((each for each in held if type(each) is object), None)
    typed = cached.cache_parameters()["typed"]
    calls = []
    for key, result in _entries(held, is_limited=cached.cache_parameters()["maxsize"] is not None):
        arguments, keywords = _arguments(key, mark, typed=typed)
        calls.append((arguments, keywords, result))
    return tuple(calls) if len(calls) == cached.cache_info().currsize else ()


def counts(cached: Any) -> list[int]:
    """Misses without a result that is kept, and hits."""
    info = cached.cache_info()
    return [min(info.misses - info.currsize, MOST_COUNTED), min(info.hits, MOST_COUNTED)]


def _entries(held: list[Any], *, is_limited: bool) -> Iterator[tuple[Any, Any]]:
    if not is_limited:
        yield from next(each for each in held if type(each) is dict).items()
        return
    for at in range(1, len(held) - 2, 3):  # its own type comes first
        if not isinstance(held[at + 2], type) or held[at + 2].__name__ != _ELEMENT:
            return
        yield held[at], held[at + 1]


def _arguments(key: Any, mark: Any, *, typed: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a key was made of: arguments, a mark before keywords and what they are given, and the types of all."""
    if type(key) is not tuple:
        return (key,), {}
    at = next((index for index, each in enumerate(key) if each is mark), None)
    if at is None:
        return (key[: len(key) // 2] if typed else key), {}
    given = key[at + 1 :]
    count = (len(given) - at) // 3 if typed else len(given) // 2
    return key[:at], dict(zip(given[: 2 * count : 2], given[1 : 2 * count : 2], strict=True))
