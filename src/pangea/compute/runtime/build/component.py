"""Take a component without imports apart into the core modules that it instantiates.

What componentize-py writes with stubbed WASI holds only core modules, their instances, aliases between those and lifted
exports: no lowered functions. Each core module's imports can then be renamed to name the instance that really provides
them, and a linker can fuse them into one core module.

Source: WebAssembly Component Model, design/mvp/Binary.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from pangea.compute.runtime.build.binary import HEADER_BYTES, Reader, rename_imports

_CORE_MODULE, _CORE_INSTANCE, _ALIAS, _CANON, _EXPORT = 1, 2, 6, 8, 11
_CORE_KINDS = {0: "function", 1: "table", 2: "memory", 3: "global", 4: "tag", 0x10: "type", 0x11: "module", 0x12: "instance"}
_CANON_OPTIONS = {3: "memory", 4: "realloc", 5: "post_return"}
_SORT_CORE, _SORT_FUNCTION = 0, 1

Place = tuple[int, str]  # core instance, name of its export


@dataclass(frozen=True)
class Lift:
    """An exported function: where its core function and its canonical options live."""

    function: int
    options: dict[str, int]


@dataclass
class Component:
    """The parts of a component, by index space."""

    modules: list[bytes] = field(default_factory=list)
    #: Real instances are (module, arguments), synthetic ones are name to (kind, index).
    instances: list[tuple[int, dict[str, int]] | dict[str, tuple[str, int]]] = field(default_factory=list)
    spaces: dict[str, list[Place]] = field(default_factory=lambda: {kind: [] for kind in _CORE_KINDS.values()})
    functions: list[Lift | None] = field(default_factory=list)
    exports: dict[str, Lift] = field(default_factory=dict)

    def resolve(self, instance: int, name: str) -> Place:
        """Follow synthetic instances to the real one that provides `name`."""
        while isinstance(parts := self.instances[instance], dict):
            kind, index = parts[name]
            instance, name = self.spaces[kind][index]
        return instance, name

    def core_modules(self) -> dict[int, bytes]:
        """Each real instance's module, its imports renamed to (`i<instance>`, export)."""
        found = {}
        for index, instance in enumerate(self.instances):
            if isinstance(instance, dict):
                continue
            module, arguments = instance
            found[index] = rename_imports(self.modules[module], partial(self._provider, arguments))
        return found

    def _provider(self, arguments: dict[str, int], source: str, name: str) -> tuple[str, str]:
        index, real = self.resolve(arguments[source], name)
        return f"i{index}", real


def parse(data: bytes) -> Component:
    """Parse a component.

    Raises:
        ValueError: it lowers functions, so it has real imports.
    """
    component = Component()
    for kind, _, body in Reader(data, HEADER_BYTES).sections():
        if kind == _CORE_MODULE:
            component.modules.append(data[body.position : body.end])
        elif kind in _PARSERS:
            for _ in range(body.unsigned()):
                _PARSERS[kind](body, component)
    return component


def _core_instance(body: Reader, component: Component) -> None:
    if body.byte() == 0:
        module, arguments = body.unsigned(), {}
        for _ in range(body.unsigned()):
            name = body.name()
            body.byte()
            arguments[name] = body.unsigned()
        component.instances.append((module, arguments))
        return
    parts = {}
    for _ in range(body.unsigned()):
        name, kind = body.name(), _CORE_KINDS[body.byte()]
        parts[name] = (kind, body.unsigned())
    component.instances.append(parts)


def _alias(body: Reader, component: Component) -> None:
    sort = body.byte()
    kind = _CORE_KINDS[body.byte()] if sort == _SORT_CORE else ""
    target = body.byte()
    if target == 1:
        component.spaces[kind].append((body.unsigned(), body.name()))
    elif target == 0:
        body.unsigned()
        body.name()
        if sort == _SORT_FUNCTION:
            component.functions.append(None)
    else:
        body.unsigned()
        body.unsigned()


def _canon(body: Reader, component: Component) -> None:
    if body.byte() != 0:
        raise ValueError("the component lowers a function: it has real imports")
    body.byte()
    function, options = body.unsigned(), {}
    for _ in range(body.unsigned()):
        option = body.byte()
        if option in _CANON_OPTIONS:
            options[_CANON_OPTIONS[option]] = body.unsigned()
    body.unsigned()
    component.functions.append(Lift(function, options))


def _export(body: Reader, component: Component) -> None:
    body.byte()
    name, sort = body.name(), body.byte()
    if sort == _SORT_CORE:
        body.byte()
    index = body.unsigned()
    if body.byte() == 1:
        description = body.byte()
        if description == 0:
            body.byte()
        if description in (1, 4, 5):
            body.unsigned()
    if sort == _SORT_FUNCTION:
        lift = component.functions[index]
        component.functions.append(lift)
        if lift is not None:
            component.exports[name] = lift


_PARSERS = {_CORE_INSTANCE: _core_instance, _ALIAS: _alias, _CANON: _canon, _EXPORT: _export}
