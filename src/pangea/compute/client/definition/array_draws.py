"""`numpy.random`'s shared generator in a native run: as in the guest for the job's functions, and for nobody else.

Its functions are bound to the generator in C. While a native run is under way, the module has functions in their place that look
at each draw whether it is made within a seeded call (`native_draws.py`). Generators that a function makes of its own are no
concern of this module: without a seed they take theirs from `os.urandom`.

NumPy's generator is seeded by the system when `numpy.random` is first imported. In the guest that has happened before the job
starts; where it happens within a call, the system is asked, and not the call's stream.

Out of reach are `numpy.random.mtrand._rand` itself and `numpy.random.set_bit_generator`.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any, Protocol

_NAME = "numpy.random"
#: Functions of the module that aren't bound to the generator, and yet use it: to the method that they stand for.
_UNBOUND = {"seed": "seed", "ranf": "random_sample", "sample": "random_sample"}


class Call(Protocol):
    """A seeded call."""

    @property
    def arrays(self) -> Any:
        """Its `numpy.random.RandomState`."""


def generator(words: Sequence[int]) -> Any:
    """A generator in the state that `numpy.random.seed(words)` leaves the shared one in; asks nobody for entropy."""
    from numpy.random import MT19937, RandomState

    made = RandomState(MT19937(0))
    made.seed(list(words))
    return made


class ArrayDraws(MetaPathFinder):
    """Puts functions that ask for the call in the place of NumPy's, also where they are imported later."""

    def __init__(self, call: ContextVar[Any]) -> None:
        """Ask `call` for the `Call` that is under way, or None."""
        self._call = call
        self._kept: dict[str, Any] = {}
        #: Names of what is kept, by object, and by owner and name: a method is another object each time it is looked up.
        self._names: dict[object, str] = {}

    def put(self) -> None:
        """Begin."""
        module = sys.modules.get(_NAME)
        if module is None:
            sys.meta_path.insert(0, self)
        else:
            self._replace(module)

    def take_away(self) -> None:
        """End."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if self._kept:
            vars(sys.modules[_NAME]).update(self._kept)
            self._kept, self._names = {}, {}

    def replacement(self, value: Any) -> Any:
        """What stands for a function that was taken from the module; None for all else."""
        if not self._kept or not callable(value):
            return None
        name = self._names.get(id(value)) or self._names.get(_method(value))
        return None if name is None else vars(sys.modules[_NAME])[name]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find `numpy.random`, to be imported outside of the call that does it."""
        if name != _NAME:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Outside(spec.loader, self._call, self._replace)
        return spec

    def _replace(self, module: types.ModuleType) -> None:
        values = vars(module)
        shared = values["mtrand"]._rand
        bound = {name: name for name, value in values.items() if getattr(value, "__self__", None) is shared}
        known = bound | {name: method for name, method in _UNBOUND.items() if name in values}
        self._kept = {name: values[name] for name in known}
        for name, value in self._kept.items():
            for key in (id(value), _method(value)):
                self._names.setdefault(key, name)
        values.update({name: self._asking(values[name], method) for name, method in known.items()})

    def _asking(self, ordinary: Callable[..., Any], method: str) -> Callable[..., Any]:
        @functools.wraps(ordinary)
        def function(*arguments: Any, **keywords: Any) -> Any:
            call: Call | None = self._call.get()
            chosen = ordinary if call is None else getattr(call.arrays, method)
            return chosen(*arguments, **keywords)

        return function


def _method(value: Any) -> object:
    """What two lookups of one method of one object have in common; `value`'s own number where it is none."""
    owner, name = getattr(value, "__self__", None), getattr(value, "__name__", None)
    return (id(owner), name) if owner is not None and isinstance(name, str) else id(value)


class _Outside(Loader):
    """Runs a module's code as if no call were under way."""

    def __init__(self, loader: Loader, call: ContextVar[Any], then: Callable[[types.ModuleType], None]) -> None:
        self._loader, self._call, self._then = loader, call, then

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        """Leave it to the module's own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run it, and do what comes then."""
        token = self._call.set(None)
        try:
            self._loader.exec_module(module)
        finally:
            self._call.reset(token)
        self._then(module)
