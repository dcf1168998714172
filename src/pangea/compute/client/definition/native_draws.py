"""`random` and `os.urandom` in a native run: as in the guest for the job's functions, and for nobody else.

In the guest every call draws from a stream that depends on the call alone. Here other threads draw secrets from the very same
modules. So what is put in place of the sources of randomness looks at each draw whether it is made within a seeded call, which
is a matter of the context (`contextvars`): only there it draws from the call's stream, and everywhere else from where it always
did. It is taken away when the last native run ends; whoever has kept a piece of it can go on using it.

Out of reach is a module other than the functions' own that took `random` or `getrandbits` by `from random import …`. What
`numpy.random` shares is treated alike (`array_draws.py`).
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pangea.compute.client.definition import array_draws
from pangea.compute.runtime.guest.seeding import CallEntropy

_SEED_BYTES = 32
#: The functions of `random` that C binds to the shared generator: whoever has one has it for good.
_BOUND = ("random", "getrandbits")
_system = os.urandom
_seed_of_random = random.Random.seed
_shared: random.Random = random._inst


class _Call:
    """What one seeded call draws from."""

    def __init__(self, function: str, data: bytes) -> None:
        self.entropy = CallEntropy()
        self.entropy.reseed(function, data)
        self.generator = random.Random(int.from_bytes(self.entropy._seed, "little"))  # noqa: S311  # as the guest has it

    @cached_property
    def arrays(self) -> Any:
        """The generator that stands for `numpy.random`'s."""
        return array_draws.generator(self.entropy.words())


_call: ContextVar[_Call | None] = ContextVar("pangea_native_call", default=None)
_arrays = array_draws.ArrayDraws(_call)


def _urandom(size: int, /) -> bytes:
    call = _call.get()
    return _system(size) if call is None else call.entropy.urandom(size)


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    """Of generators that are made or seeded without a seed, which would ask the system in C."""
    call = _call.get()
    if a is None and call is not None:
        a = int.from_bytes(call.entropy.urandom(_SEED_BYTES), "little")
    _seed_of_random(self, a, version)


def _for_the_call(name: str) -> Callable[..., Any]:
    ordinary: Callable[..., Any] = _seed if name == "seed" else getattr(random.Random, name)

    def method(self: random.Random, *arguments: Any, **keywords: Any) -> Any:
        call = _call.get()
        return ordinary(self if call is None else call.generator, *arguments, **keywords)

    method.__name__ = name
    return method


#: The class of the module's shared generator while a native run is under way: all that touches its state asks for the call's.
_Dispatching: Any = type(
    "Random", (random.Random,), {name: _for_the_call(name) for name in (*_BOUND, "seed", "getstate", "setstate", "gauss")}
)


@dataclass
class _Rebound:
    names: dict[str, Any]
    runs: int


class _Switch:
    """Puts the sources in place for the first native run, and takes them away after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._kept: dict[str, Any] = {}
        self._rebound: dict[int, _Rebound] = {}

    def on(self, scopes: list[dict[str, Any]]) -> None:
        with self._lock:
            if self._runs == 0:
                self._put()
            self._runs += 1
            for scope in scopes:
                self._rebind(scope)

    def off(self, scopes: list[dict[str, Any]]) -> None:
        with self._lock:
            for scope in scopes:
                rebound = self._rebound[id(scope)]
                rebound.runs -= 1
                if not rebound.runs:
                    scope.update(self._rebound.pop(id(scope)).names)
            self._runs -= 1
            if self._runs == 0:
                self._take_away()

    def after_fork(self) -> None:
        """Whoever held the lock isn't in the child."""
        self._lock = threading.Lock()

    def _put(self) -> None:
        _shared.__class__ = _Dispatching
        names = [name for name, value in vars(random).items() if getattr(value, "__self__", None) is _shared]
        self._kept = {name: getattr(random, name) for name in names} | {"_urandom": random._urandom}  # type: ignore[attr-defined]
        vars(random).update({name: getattr(_shared, name) for name in names}, _urandom=_urandom)
        random.Random.seed = _seed  # type: ignore[method-assign]
        os.urandom = _urandom
        _arrays.put()

    def _take_away(self) -> None:
        _arrays.take_away()
        os.urandom = _system
        random.Random.seed = _seed_of_random  # type: ignore[method-assign]
        vars(random).update(self._kept)
        _shared.__class__ = random.Random

    def _rebind(self, scope: dict[str, Any]) -> None:
        """`from random import random` in the functions' module means the call's generator, too."""
        rebound = self._rebound.setdefault(id(scope), _Rebound({}, 0))
        rebound.runs += 1
        for name, value in list(scope.items()):
            if value is _system:
                rebound.names[name], scope[name] = value, _urandom
            elif getattr(value, "__self__", None) is _shared and getattr(value, "__name__", "") in _BOUND:
                rebound.names.setdefault(name, value)
                scope[name] = getattr(_shared, value.__name__)
            elif (stand_in := _arrays.replacement(value)) is not None:
                rebound.names.setdefault(name, value)
                scope[name] = stand_in


_switch = _Switch()
os.register_at_fork(after_in_child=_switch.after_fork)


@contextmanager
def native_run(functions: Iterable[Callable[..., Any]] = ()) -> Iterator[None]:
    """For the body, calls within `seeded_call` draw as in the guest; `functions` are the job's."""
    scopes = list({id(found): found for each in functions if (found := getattr(each, "__globals__", None)) is not None}.values())
    _switch.on(scopes)
    try:
        yield
    finally:
        _switch.off(scopes)


@contextmanager
def seeded_call(function: str, data: bytes) -> Iterator[None]:
    """Within a native run: what the body draws in this context is what `function`, called with `data`, draws in the guest."""
    token = _call.set(_Call(function, data))
    try:
        yield
    finally:
        _call.reset(token)
