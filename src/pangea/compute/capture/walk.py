"""Number what a job reaches, by first visit, and keep what is said of each thing: the graph that travels.

Things are described one after the other, from a queue, so that neither their nesting nor their number meets a limit of
recursion. A description is a record, a JSON list that begins with a tag; things in it are references by number. What is known
by its identity has one number however often it is met, so aliases and cycles stay what they are.

Numbers follow from the order of visits alone: no ids, no paths and no hashes go in, and what has no order is sorted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any, NoReturn

from pangea.compute.capture.atoms import NONE, atom, atoms, is_a
from pangea.compute.capture.functions import place_of
from pangea.compute.capture.homes import Homes
from pangea.compute.capture.ordering import order_key
from pangea.compute.capture.proof import Proof, Prover, Statement
from pangea.compute.capture.scan import Scan, line_of, scan
from pangea.compute.capture.sources import display_name, is_cell
from pangea.compute.model.errors import JobDefinitionError

Record = list[Any]
Describe = Callable[["Walk", Any], Record]
#: The closure variable that holds what `map` and `submit` are to call.
CALLED = "called_function"
HINT_VALUE = "pass it in the chunk, or make it inside the function"


@dataclass(frozen=True, slots=True)
class Step:
    """How a thing was reached.

    Attributes:
        parent: number of the thing that it was reached from; -1 for the job itself.
        kind: global, closure, default, attribute, item, key, or a word for the rest.
        key: name, index or key.
    """

    parent: int
    kind: str
    key: Any


@dataclass(eq=False)
class Namespace:
    """The globals that functions share: of a module, or of what `exec` was given.

    Attributes:
        number: in the graph.
        name: of the module.
        values: the dictionary itself.
        is_library: whether the guest has the module.
        is_registered: whether it can be imported.
        names: to references, as far as they are used.
        pending: names that are to travel if they can. What code needs is none, though it was one.
    """

    number: int
    name: str
    values: dict[str, Any]
    is_library: bool
    is_registered: bool
    names: dict[str, Any] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Soft:
    """A reference that may fail: what can't travel is left out."""

    value: Any
    step: Step
    put: Callable[[Any], None]
    is_lean: bool
    most: int


class Walk:
    """The graph of one job."""

    def __init__(self, homes: Homes, describe: Describe, *, is_lenient: bool = False) -> None:
        """Start empty.

        Args:
            homes: say what is found by name in the guest.
            describe: makes the record of a thing.
            is_lenient: whether classes may go without those of their methods that can't travel.
        """
        self.is_lenient = is_lenient
        #: The methods that stay behind, by the identity of their class and name: the class, and why.
        self.left_out: dict[tuple[int, str], tuple[type, JobDefinitionError]] = {}
        #: Why the last attempt failed.
        self.refused: JobDefinitionError | None = None
        self.homes = homes
        self.prover: Prover = Prover()
        self.records: list[Record] = []
        self.namespaces: list[Namespace] = []
        self.codes: list[Any] = []
        self.statements: list[tuple[Statement, str]] = []
        self.warnings: dict[str, None] = {}
        #: Modules that have to be imported, as the code reads them off their packages.
        self.imports: dict[str, None] = {}
        #: Modules of the library that the job uses, and those of them that were looked at for what the program has put there.
        self.libraries: dict[str, None] = {}
        self.looked_at: set[Any] = set()
        #: By module and dotted name, what the program has put into the library.
        self.patches: dict[tuple[str, str], Any] = {}
        #: By module and dotted name, what the program has taken out of and put into the library's tables, and their type.
        self.updates: dict[tuple[str, str], list[Any]] = {}
        #: By module, function and name of what was registered: the arguments of what the program has told the library.
        self.calls: dict[tuple[str, str, str], list[Any]] = {}
        #: Own modules that go where their names can't be followed.
        self.escaped: dict[int, ModuleType] = {}
        #: Data of the time zones that code names.
        self.zones: dict[str, bytes] = {}
        #: By the cells that hold a class's dictionary (`__classdict__`): the class.
        self.class_cells: dict[int, type] = {}
        #: Whether an exception travels that was raised.
        self.has_tracebacks = False
        #: Classes that travel by value, and their records, by identity.
        self.classes: dict[int, tuple[type, dict[str, Any]]] = {}
        #: By the identity of a class: the library's abstract classes that it was registered with. None until one is looked up.
        self.registered: dict[int, list[Any]] | None = None
        self._describe = describe
        self._numbers: dict[int, int] = {}
        self._things: list[Any] = []
        self._steps: list[Step] = []
        self._queue: deque[int] = deque()
        self._soft: list[_Soft] = []
        self._current = -1
        self._spaces: dict[int, Namespace] = {}
        self._named: list[tuple[Namespace, str, bool]] = []
        self._code_numbers: dict[Any, int] = {}
        self._statement_numbers: dict[Statement, int] = {}
        self._cells: dict[str, str] = {}
        #: Of instances: the node, its record and its dictionary, by the dictionary.
        self._dictionaries: dict[int, list[tuple[int, dict[str, Any], dict[str, Any]]]] = {}
        self._scans: dict[int, Scan] = {}
        self._tried: set[tuple[int, str]] = set()
        self._scanned: list[FunctionType] = []

    # What describes a thing calls these.

    def ref(self, value: Any, kind: str = "", key: Any = None) -> Any:
        """Refer to `value` from the thing being described: an atom, or the number of a node."""
        written = atom(value)
        return written if written is not NONE else [self._number(value, Step(self._current, kind, key))]

    def refs(self, values: Iterable[Any], kind: str = "item") -> list[Any]:
        """Refer to each of `values`, which are in order."""
        values = values if isinstance(values, list | tuple) else list(values)
        plain = atoms(values)
        return plain if plain is not None else [self.ref(value, kind, index) for index, value in enumerate(values)]

    def pairs(self, items: Iterable[tuple[Any, Any]], kind: str = "item") -> list[Any]:
        """Refer to keys and values in turn."""
        written: list[Any] = []
        for key, value in items:
            written += [self.ref(key, "key", key), self.ref(value, kind, key)]
        return written

    def attributes(self, about: dict[str, Any], values: dict[str, Any]) -> None:
        """Write an instance's dictionary into its record: as pairs, or as a reference if others hold that dictionary, too."""
        self._dictionaries.setdefault(id(values), []).append((self._current, about, values))
        if values:
            about["dict"] = self.pairs(values.items(), "attribute")

    def unordered(self, values: Iterable[Any]) -> list[Any]:
        """Refer to the elements of a set, in an order that is the same in every run."""
        kept = list(values)
        plain = atoms(kept)
        if plain is not None and len({type(each) for each in kept}) == 1:
            return sorted(plain)
        return [self.ref(value, "element") for value in sorted(kept, key=order_key)]

    def go_on(self, value: Any) -> bool:
        """Describe `value` further, once all else is described; whether it travels."""
        self._current = self._numbers.get(id(value), -1)
        return self._current >= 0

    def soft(self, value: Any, kind: str, key: Any, put: Callable[[Any], None], *, lean: bool = False, most: int = 0) -> None:
        """Refer to `value` once all else is described, and give `put` the reference; `NONE` if it can't travel.

        If `lean`, it can't if it needs packages; if `most` is given, it can't if it takes more than so many characters.
        """
        written = atom(value)
        if written is not NONE:
            put(written)
        else:
            self._soft.append(_Soft(value, Step(self._current, kind, key), put, lean, most))

    def space(self, values: dict[str, Any]) -> Namespace:
        """The namespace whose dictionary is `values`."""
        known = self._spaces.get(id(values))
        if known is None:
            name, is_library, is_registered = self.homes.of_globals(values)
            known = Namespace(len(self.namespaces), name, values, is_library, is_registered)
            self._spaces[id(values)] = known
            self.namespaces.append(known)
        return known

    def is_entry(self, value: Any) -> bool:
        """Whether `value` was reached as an entry of a class's dictionary, itself or inside of a descriptor."""
        step = self._steps[self._numbers[id(value)]]
        while step.kind == "attribute" and step.parent >= 0:
            if is_a(self._things[step.parent], type):
                return True
            if is_a(self._things[step.parent], FunctionType, MethodType):
                return False
            step = self._steps[step.parent]
        return False

    def is_space(self, values: dict[str, Any]) -> bool:
        """Whether `values` are the globals of a function that was reached."""
        return id(values) in self._spaces

    def name(self, space: Namespace, name: str, value: Any) -> None:
        """Take the global called `name` along, as the thing being described uses it."""
        if name not in space.names or name in space.pending:
            self.added(space, name)
            space.pending.discard(name)
            space.names[name] = None
            space.names[name] = self.ref(value, "global", name)

    def added(self, space: Namespace, name: str) -> None:
        """Note that `name` is about to be added to `space`, so that it can be undone."""
        self._named.append((space, name, name in space.pending))

    def try_once(self, space: Namespace, name: str) -> None:
        """Note that `name` of `space` was tried: it isn't tried again if it can't travel."""
        self._tried.add((space.number, name))

    def refused_names(self, space: Namespace) -> set[str]:
        """The names of `space` that were tried."""
        return {name for number, name in self._tried if number == space.number}

    def kind(self) -> str:
        """How the thing being described was reached; through a closure variable, where its cell is between."""
        step = self._steps[self._current]
        while not step.kind and step.parent >= 0:
            step = self._steps[step.parent]
        return step.kind

    def code(self, function: FunctionType) -> int:
        """The number of the function's code, proved.

        Raises:
            UnprovedError: its text can't be proved.
        """
        code = function.__code__
        module = self.homes.library_of(function)
        if module is not None:
            parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            return self._code(["library", module, code.co_qualname, code.co_freevars, parameters, code.co_firstlineno])
        proof = self.prover.prove(code, function.__globals__)
        return self._code(self._written(proof))

    def scan(self, function: FunctionType) -> Scan:
        """What the function's code names."""
        code = function.__code__
        if id(code) not in self._scans:
            self._scans[id(code)] = scan(code)
            self._scanned.append(function)
        return self._scans[id(code)]

    def functions(self) -> list[FunctionType]:
        """The functions of all code so far."""
        return list(self._scanned)

    def scans(self) -> list[Scan]:
        """What all code so far names."""
        return list(self._scans.values())

    def warn(self, text: str) -> None:
        """Tell the user, once."""
        self.warnings.setdefault(text)

    def refuse(self, why: str, hint: str = HINT_VALUE) -> NoReturn:
        """Say that the thing being described can't travel.

        Raises:
            JobDefinitionError: always; names the variable, the path to it, the function and the line.
        """
        raise self._refusal(self._current, why, hint) from None

    # The walk itself.

    def enter(self, value: Any, step: Step) -> Any:
        """Refer to one of the job's functions."""
        return [self._number(value, step)]

    def run(self) -> None:
        """Describe everything that was referred to, and what those refer to in turn."""
        self._drain()
        while self._soft:
            soft, self._soft = self._soft[0], self._soft[1:]
            self._try(soft)
            self._drain()  # what is put in its place

    def share(self) -> None:
        """Refer to the dictionaries of instances that are reached by other ways, too. Call it once, at the end."""
        for number, holders in list(self._dictionaries.items()):
            kept = [each for each in holders if self._is_kept(*each[:2])]
            if not kept or (number not in self._numbers and len(kept) == 1):
                continue
            self._current = kept[0][0]
            for _, about, values in kept:
                about["dict"] = [[self._number(values, Step(self._current, "attribute", "__dict__"))]]
        self._drain()

    def _is_kept(self, number: int, about: dict[str, Any]) -> bool:
        """Whether `about` is in the record of that number: it is in none if it was an attempt."""
        return number < len(self.records) and any(part is about for part in self.records[number])

    def attempt(self, action: Callable[[], Any], *, lean: bool = False, most: int = 0) -> bool:
        """Do something that may be refused, and describe what it refers to; undo it if it was."""
        mark, current, queue = self._mark(), self._current, self._queue
        self._queue = deque()
        try:
            action()
            self._drain()
            if lean and self.homes.packages.files.keys() - mark[-2][0].keys():
                raise JobDefinitionError("needs packages")
            if most and sum(len(str(each)) for each in self.records[mark[0] :]) > most:
                raise JobDefinitionError("takes too much room")
        except JobDefinitionError as error:
            self.refused = error
            self._reset(mark)
            return False
        finally:
            self._current, self._queue = current, queue
        return True

    def _try(self, soft: _Soft) -> None:
        found: list[Any] = []

        def refer() -> None:
            found.append([self._number(soft.value, soft.step)])

        soft.put(found[0] if self.attempt(refer, lean=soft.is_lean, most=soft.most) else NONE)

    def _drain(self) -> None:
        while self._queue:
            number = self._queue.popleft()
            self._current = number
            try:
                self.records[number] = self._describe(self, self._things[number])
            except JobDefinitionError:
                raise
            except Exception as error:  # of code of the user's that had to be asked, such as a metaclass's
                why = f"fails when it is looked at: {type(error).__name__}: {error}"
                raise self._refusal(number, why, HINT_VALUE) from error
        self._current = -1

    def _number(self, value: Any, step: Step) -> int:
        known = self._numbers.get(id(value))
        if known is not None:
            return known
        number = self._numbers[id(value)] = len(self.records)
        self.records.append([])
        self._things.append(value)
        self._steps.append(step)
        self._queue.append(number)
        return number

    def _code(self, written: Any) -> int:
        key = repr(written)
        if key not in self._code_numbers:
            self._code_numbers[key] = len(self.codes)
            self.codes.append(written)
        return self._code_numbers[key]

    def _written(self, proof: Proof) -> list[Any]:
        statement = proof.statement
        if statement not in self._statement_numbers:
            self._statement_numbers[statement] = len(self.statements)
            self.statements.append((statement, self._file_name(statement.file)))
        written = [self._statement_numbers[statement], proof.qualname, proof.line]
        return written if proof.column is None else [*written, proof.column]

    def _file_name(self, file: str) -> str:
        """A name that doesn't change from run to run: cells are numbered as they come."""
        if not is_cell(file) or file.startswith("<attrs "):
            return display_name(file)
        return self._cells.setdefault(file, f"<cell {len(self._cells) + 1}>")

    def _mark(self) -> tuple[Any, ...]:
        lists = (self.records, self.namespaces, self.codes, self.statements, self._named, self._soft, self._cells, self._scanned)
        return (*(len(each) for each in lists), self.homes.packages.state(), [len(each) for each in self._noted()])

    def _noted(self) -> tuple[dict[Any, Any], ...]:
        """What is only added to."""
        known = (self.warnings, self.imports, self.libraries, self.escaped, self.zones, self.class_cells, self.classes)
        return (*known, self.patches)

    def _reset(self, mark: tuple[Any, ...]) -> None:
        records, spaces, codes, statements, named, soft, cells, scanned, packages, noted = mark
        self.homes.packages.restore(packages)
        for thing in self._things[records:]:
            del self._numbers[id(thing)]
        del self.records[records:], self._things[records:], self._steps[records:], self._soft[soft:]
        for space, name, was_pending in reversed(self._named[named:]):
            space.names.pop(name, None)
            space.pending.discard(name)
            if was_pending:
                space.names[name] = None
                space.pending.add(name)
        for space in self.namespaces[spaces:]:
            del self._spaces[id(space.values)]
        del self._named[named:], self.namespaces[spaces:], self.codes[codes:], self.statements[statements:]
        for function in self._scanned[scanned:]:
            self._scans.pop(id(function.__code__), None)
        del self._scanned[scanned:]
        added: list[tuple[dict[Any, Any], int]] = [*zip(self._noted(), noted, strict=True)]
        added += [(self._code_numbers, codes), (self._statement_numbers, statements), (self._cells, cells)]
        for known, size in added:
            while len(known) > size:
                known.popitem()

    # Words for what can't travel.

    def _refusal(self, number: int, why: str, hint: str) -> JobDefinitionError:
        path: list[Step] = []
        user, thing = None, self._things[number]
        while number >= 0:
            step = self._steps[number]
            if step.kind != "closure":  # that of a cell
                thing = self._things[number]
            path.append(step)
            number = step.parent
            if number >= 0 and is_a(self._things[number], FunctionType):
                user = self._things[number]
                break
        path = [step for step in reversed(path) if step.kind]  # without cells
        if user is not None and path[0].key == CALLED and user.__module__.startswith("pangea.compute."):
            user, path[0] = None, Step(-1, "role", self._shown_function(thing))
        name, where = _spelled(path)
        if user is None:
            return JobDefinitionError(f"{where}, which {why}: it can't travel with the job", hint=hint, variable=name)
        code = user.__code__
        file, line = (
            code.co_filename,
            line_of(code, path[0].key) if path[0].kind in ("global", "closure") else code.co_firstlineno,
        )
        site = f"{user.__name__} ({'<cell>' if is_cell(file) else display_name(file)}:{line})"
        what = f"{site} uses {name!r}, which {why}" if len(path) == 1 else f"{site} uses {name!r}: {where} {why}"
        details = {"variable": name, "function": user.__name__, "file": display_name(file), "line": line}
        return JobDefinitionError(f"{what}: it can't travel with the job", hint=hint, **details)

    def _shown_function(self, value: Any) -> str:
        """What `map` or `submit` is to call, as messages have it."""
        return self.site_of(value) if is_a(value, FunctionType) else str(getattr(value, "__name__", type(value).__name__))

    def site_of(self, function: FunctionType) -> str:
        """A function as messages have it."""
        return f"{function.__name__} ({place_of(function)})"


def _spelled(path: list[Step]) -> tuple[str, str]:
    """The variable that a path starts from, and the whole path, as an expression."""
    first = path[0] if path else Step(-1, "role", "the job")
    name = where = str(first.key)
    for step in path[1:]:
        if step.kind == "item":
            where += f"[{_shown(step.key)}]"
        elif step.kind == "attribute":
            where += f".{step.key}"
        elif step.kind in ("global", "closure", "default"):
            where += f" → {step.key}"
        elif step.kind == "key":
            where = f"the key {_shown(step.key)} of {where}"
        elif step.kind:
            where = f"{step.kind} of {where}"
    return name, where


def _shown(value: Any) -> str:
    return f"{value!r:.40}" if isinstance(value, str | int | bytes | float) else f"<{type(value).__name__}>"
