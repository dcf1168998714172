"""Make the things of a graph again, one after the other, whatever refers to what.

Each node has a generator. It first makes its object, of what it can't be made without (a tuple its elements, a class its
bases); then, at leisure, it fills it with the rest. So cycles close, as long as one thing in them can be made empty. The
generators are driven from a list, never by recursion: nesting has no limit.

Dicts and sets with keys of the user's own types are filled last of all: hashing those runs the user's code.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import types
from collections.abc import Callable, Generator, Iterable
from typing import Any

from pangea.compute.runtime.guest.graph.atoms import special
from pangea.compute.runtime.guest.graph.codes import Codes

#: What a generator yields: whether the nodes have to be complete, or just made, and their numbers; None once its own is made.
Need = tuple[bool, list[int]] | None
#: What a generator yields whose parts can't all be made yet, as they wait for it: it begins anew, later.
POSTPONED: Any = (False, [-1])
_ATTEMPTS_MAX = 3
Builder = Callable[["Rebuilding", int, list[Any]], Generator[Need, None, None]]
ABSENT = object()
_SAFE_HASHES: tuple[Any, ...] = (object.__hash__, type.__hash__)
#: Nodes that are made of no others.
_AT_HAND = ("name", "module", "own")
_SAFE_KEYS = (str, int, float, bytes, bool, complex, type(None), type(Ellipsis))


class Rebuilding:
    """One graph on its way to be objects."""

    def __init__(self, graph: dict[str, Any], codes: Codes, builders: dict[str, Builder]) -> None:
        """Make the namespaces, empty.

        Args:
            graph: as in `graph.json`.
            codes: compile the text.
            builders: by the tag of a node.
        """
        self.nodes: list[list[Any]] = graph["nodes"]
        self.objects: list[Any] = [ABSENT] * len(self.nodes)
        self.codes = codes
        #: Classes of the user's, and their numbers.
        self.classes: dict[type, int] = {}
        #: Kept alive as long as the job.
        self.kept: list[Any] = []
        self._graph = graph
        self._builders = builders
        self._running: list[Generator[Need, None, None] | None] = [None] * len(self.nodes)
        self._is_complete = bytearray(len(self.nodes))
        self._is_waiting = bytearray(len(self.nodes))
        self._unfinished: list[int] = []
        self._attempts: dict[int, int] = {}
        self._afterwards: list[Callable[[], object]] = []
        self._late: list[Callable[[], None]] = []
        self._modules = [self._new_space(*each[:4]) for each in graph["spaces"]]

    def run(self) -> dict[str, Any]:
        """Rebuild everything; the job's functions by role."""
        for module in self._graph["imports"]:
            importlib.import_module(module)
        for entry in self._graph["entry"].values():
            self._finish(entry[0], complete=False)
        self._put_functions()
        for index, space in enumerate(self._graph["spaces"]):
            values = self.space(index)
            for name, written in space[4].items():
                if type(written) is list and len(written) == 1:
                    self._finish(written[0], complete=True)
                values[name] = self.value(written)
        told = [each for _, _, arguments in self._graph.get("calls", ()) for each in arguments]
        told += [each for _, _, _, taken, put in self._graph.get("updates", ()) for each in (*taken, *put)]
        for written in [*(each for _, _, each in self._graph.get("patches", ())), *told]:
            if type(written) is list and len(written) == 1:
                self._finish(written[0], complete=True)
        for number in self._unfinished:
            self._finish(number, complete=True)
        for fill in [*self._afterwards, *self._late]:
            fill()
        self._patch()
        return {role: self.objects[entry[0]] for role, entry in self._graph["entry"].items()}

    def _patch(self) -> None:
        """Put into the library what the program has put there at home, and tell it what the program has told it."""
        for module, path, written in self._graph.get("patches", ()):
            around, _, name = path.rpartition(".")
            setattr(_found(module, around), name, self.value(written))
        for module, path, kind, taken, put in self._graph.get("updates", ()):
            _update(kind, _found(module, path), self.values(taken), self.values(put))
        for module, function, arguments in self._graph.get("calls", ()):
            _found(module, function)(*self.values(arguments))

    def _put_functions(self) -> None:
        """Put what is at hand, and then functions and classes, into their namespaces before all else.

        To hash a key, or to put together what took itself apart, may call the user's code, which looks these up.
        """
        for index, space in enumerate(self._graph["spaces"]):
            values = self.space(index)
            for name, written in space[4].items():
                if self.tag(written) in _AT_HAND:
                    self._finish(written[0], complete=False)
                    values[name] = self.value(written)
                elif type(written) is not list or len(written) != 1:
                    values[name] = self.value(written)
        for tag in ("function", "class"):
            for index, space in enumerate(self._graph["spaces"]):
                for name, written in space[4].items():
                    if self.tag(written) == tag:
                        self._finish(written[0], complete=False)
                        self.space(index)[name] = self.value(written)

    # What the builders use.

    def value(self, written: Any) -> Any:
        """What a written value is; the node that it may refer to is made."""
        if type(written) is not list:
            return sys.intern(written) if type(written) is str else written
        if len(written) != 1:
            return special(written)
        made = self.objects[written[0]]
        if made is ABSENT:
            raise ValueError(f"the graph's node {written[0]} is made of itself")
        return made

    def values(self, written: list[Any]) -> list[Any]:
        """What each of `written` is. Equal texts are one object, as those are at home that a program compares by `is`."""
        return [
            sys.intern(each) if type(each) is str else each if type(each) is not list else self.value(each) for each in written
        ]

    def made(self, *written: Any) -> Need:
        """Say that these have to be made before it goes on."""
        return False, [each[0] for each in written if type(each) is list and len(each) == 1]

    def complete(self, *written: Any) -> Need:
        """Say that these have to be complete before it goes on."""
        return True, [each[0] for each in written if type(each) is list and len(each) == 1]

    def is_made(self, written: Any) -> bool:
        """Whether a written value can be had by now."""
        return type(written) is not list or len(written) != 1 or self.objects[written[0]] is not ABSENT

    def is_complete(self, written: Any) -> bool:
        """Whether a node is filled by now."""
        return bool(self._is_complete[written[0]])

    def tag(self, written: Any) -> str:
        """What kind of node a written value refers to; empty if to none."""
        return str(self.nodes[written[0]][0]) if type(written) is list and len(written) == 1 else ""

    def afterwards(self, fill: Callable[[], object]) -> None:
        """Call `fill` when everything is made, before dicts and sets are filled that hash keys of the user's."""
        self._afterwards.append(fill)

    def with_globals(self, make: Callable[[], Any]) -> Generator[Need, None, Any]:
        """What `make`, which may run the user's code, returns; called again with all globals that can be had if it raises."""
        try:
            return make()
        except Exception:  # it lacks a global that is still to come
            yield self.complete(*(written for space in self._graph["spaces"] for written in space[4].values()))
            for index, space in enumerate(self._graph["spaces"]):
                known = {name: written for name, written in space[4].items() if self.is_made(written)}
                self.space(index).update(zip(known, self.values([*known.values()]), strict=True))
            return make()

    def space(self, index: int) -> dict[str, Any]:
        """The globals of a namespace."""
        return vars(self.module(index))

    def module(self, index: int) -> types.ModuleType:
        """The module of a namespace."""
        found = self._modules[index]
        if found is None:
            found = self._modules[index] = importlib.import_module(self._graph["spaces"][index][0])
        return found

    def fill_dict(self, target: Any, pairs: list[Any], put: Callable[[Any, Any, Any], None]) -> None:
        """Put keys and values, once hashing the keys runs no code that still lacks something."""
        keys, values = self.values(pairs[::2]), self.values(pairs[1::2])

        def fill() -> None:
            for key, value in zip(keys, values, strict=True):
                put(target, key, value)

        self.once_hashable(keys, fill)

    def once_hashable(self, keys: Iterable[Any], fill: Callable[[], None]) -> None:
        """Call `fill` now if all keys are complete, with their classes; else at the end, when everything is."""
        if all(map(self._is_hashable, keys)):
            try:
                fill()
            except Exception:  # to compare them lacks what is still to come, as to hash them may
                self._late.append(fill)
        else:
            self._late.append(fill)

    def is_safe(self, key: Any) -> bool:
        """Whether hashing `key` runs no code of the user's."""
        kind = type(key)
        if kind in (tuple, frozenset):
            return all(map(self.is_safe, key))
        return kind in _SAFE_KEYS or (kind.__hash__ in _SAFE_HASHES and self._is_filled(kind))

    def _is_filled(self, kind: type) -> bool:
        """Whether a class, and those it is derived from, have their methods by now."""
        return all(self._is_complete[self.classes[each]] for each in kind.__mro__ if each in self.classes)

    def _is_hashable(self, key: Any) -> bool:
        kind = type(key)
        if kind in _SAFE_KEYS:
            return True
        if kind is tuple or kind is frozenset:
            return all(map(self._is_hashable, key))
        if not self._is_filled(kind):
            return False
        if kind.__hash__ in _SAFE_HASHES:
            return True
        try:
            hash(key)
        except Exception:  # it lacks a global, or an attribute, that is still to come
            return False
        return True

    # The drive.

    def _finish(self, number: int, *, complete: bool) -> None:
        """Have a node made, or complete, and before it what it needs."""
        stack = [(number, complete)]
        while stack:
            number, complete = stack[-1]
            if self._is_complete[number]:
                stack.pop()
            elif self.objects[number] is not ABSENT and not complete and not self._is_waiting[number]:
                self._unfinished.append(number)
                stack.pop()
            else:
                todo = self._step(number)
                self._is_waiting[number] = bool(todo)
                if todo is None:
                    stack.pop()
                else:
                    stack += todo

    def _step(self, number: int) -> list[tuple[int, bool]] | None:
        """Let a node's generator go on; what has to be done before its next step; None if it can't go on now.

        Who waits already is in a cycle with it: made is all that it can be, and that is seen when it is used.
        """
        generator = self._running[number]
        self._is_waiting[number] = 1  # for itself it can't wait
        if generator is None:
            node = self.nodes[number]
            generator = self._running[number] = self._builders[node[0]](self, number, node)
        try:
            need = next(generator)
        except StopIteration:
            self._is_complete[number] = 1
            self._running[number] = None
            return []
        if need is None:
            return []
        if need is POSTPONED:
            self._postpone(number)
            return None
        complete, numbers = need
        return [
            (each, complete)
            for each in reversed(numbers)
            if not (self._is_complete[each] or self._is_waiting[each] or (not complete and self.objects[each] is not ABSENT))
        ]

    def _postpone(self, number: int) -> None:
        """Have a node begin anew at the end: what it is made of waits for it."""
        self._attempts[number] = self._attempts.get(number, 0) + 1
        if self._attempts[number] > _ATTEMPTS_MAX:
            raise ValueError(f"the graph's node {number} is made of itself")
        self._running[number] = None
        self._unfinished.append(number)

    def _new_space(self, name: str, is_library: bool, is_registered: bool, package: list[Any]) -> types.ModuleType | None:
        """An own module, empty; a library's is imported when it is needed."""
        if is_library:
            return None
        module = types.ModuleType(name)
        vars(module)["__builtins__"] = builtins
        if package[0] is not None:
            module.__package__ = package[0]
        if package[1]:
            module.__path__ = []
        if is_registered:
            sys.modules[name] = module
        return module


def _found(module: str, path: str) -> Any:
    """What a dotted name is in a module of the library; the module if it is empty."""
    found: Any = importlib.import_module(module)
    for part in path.split(".") if path else ():
        found = getattr(found, part)
    return found


def _update(kind: str, table: Any, taken: list[Any], put: list[Any]) -> None:
    """Take out of a table of the library what the program has taken out, and put in what it has put in."""
    if kind == "dict":
        for key in taken:
            table.pop(key, None)
        table.update(zip(put[::2], put[1::2], strict=True))
    elif kind == "set":
        table.difference_update(taken)
        table.update(put)
    elif taken:  # of a list that wasn't only added to, all there was
        table[:] = put
    else:
        table.extend(put)
