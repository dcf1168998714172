"""What the text of a library's module says that its names, and its classes' attributes, are: to tell what a program has changed.

Only what the text shows is compared: literals, and what is put together of them. A name that is assigned more than once, or that
the text changes after it was assigned, isn't told of.
"""

from __future__ import annotations

import ast
import io
import linecache
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any

#: In place of what the text doesn't show.
UNKNOWN = object()
#: None by which a short text makes a large value.
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.Mult: lambda one, other: float(one) * other if {type(one), type(other)} & {float} else _refuse(),
    ast.BitOr: operator.or_,
}
#: By what the library's modules call them: pure, quick, and of short texts.
_MAKERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("re.compile", "_re.compile"), re.compile),
    "frozenset": frozenset,
    **{f"{around}{each.__name__}": each for each in (math.exp, math.log, math.sqrt) for around in ("", "_", "math.")},
}
_FLAGS = {f"re.{name}": each for name, each in re.RegexFlag.__members__.items()}
_EMPTY: tuple[Any, ...] = ([], {})
_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)
_SCOPES = ("def ", "class ", "async ", "@")
_BINDING = ("del ", "for ", "from ", "import ", "with ", "while ")
_CHANGED = re.compile(r"(\w+)[ \t]*(?:\.|\[|[-+|&*]=)")
_ASSIGNED = re.compile(r"(\w+)[ \t]*=(?!=)")
_ALIAS = re.compile(r"\s*\w+[ \t]*=[ \t]*([^\W\d]\w*(?:\.[^\W\d]\w*)*)[ \t]*(?:#.*)?")
_CHARACTERS_MAX = 1 << 18
_FILLING = "add|append|clear|discard|extend|insert|pop|remove|setdefault|update"
_WORD = re.compile(r"[^\W\d]\w*")
#: A text that gives its module names that it doesn't show.
_MAKES_NAMES = re.compile(r"import \*|globals\(\)|vars\(\)|locals\(\)|setattr|__getattr__|_convert_\(")


class Original:
    """The text of a module, or of the body of one of its classes. All is found out when it is asked for, and once."""

    def __init__(self, text: str, indent: str = "", around: Original | None = None) -> None:
        """Keep `text`, whose statements begin with `indent`; names that it lacks are those of `around`."""
        self._text = text
        self._indent = indent
        self._around = around
        self._known: dict[tuple[str, bool], Any] = {}
        self._lacking: dict[str, bool] = {}
        self._decorated: dict[str, bool] = {}
        self._classes: dict[str, Original | None] = {}
        self._signatures: dict[str, dict[str, Any] | None] = {}

    @cached_property
    def _starts(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for each in re.finditer(rf"^{self._indent}(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", self._text, re.MULTILINE):
            found.setdefault(each[1], []).append(each.start())
        return found

    @cached_property
    def _touched(self) -> set[str]:
        return set(_touched(self._text, self._indent))

    @cached_property
    def _makes_names(self) -> bool:
        return _MAKES_NAMES.search(self._text) is not None

    @cached_property
    def _class_starts(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for each in _CLASS.finditer(self._text):
            found.setdefault(each[1], []).append(each.start())
        return found

    @cached_property
    def _defined(self) -> Counter[str]:
        return Counter(re.findall(rf"^{self._indent}(?:def|async def|class) (\w+)", self._text, re.MULTILINE))

    def lacks(self, name: str) -> bool:
        """Whether the text can't have made a name, as it has no such word."""
        if name not in self._lacking:
            self._lacking[name] = self._looks_lacking(name)
        return self._lacking[name]

    def _looks_lacking(self, name: str) -> bool:
        around = self._around._text if self._around is not None else ""
        if self._makes_names or any(each in around for each in (f".{name}", f'"{name}"', f"'{name}'")):
            return False
        return not _has_word(self._text, name)

    def was(self, name: str, now: Any) -> Any:
        """What `name` is by the text, if that isn't what it is now; `UNKNOWN` if it is, or if it can't be told."""
        before = self._value_of(name, strictly=False)
        if before is UNKNOWN or (type(before) is type(now) and before == now) or (name[:1] == "_" and self._fills(name)):
            return UNKNOWN
        return self._value_of(name, strictly=True)  # what the text changes later is rare, and costs a look at all of it

    def _fills(self, name: str) -> bool:
        """Whether functions of the text may change what `name` holds: a table for the module's own use."""
        return re.search(rf"\b{re.escape(name)}(?:\[[^\]\n]*\] *=|\.(?:{_FILLING})\()", self._text) is not None

    def class_(self, name: str) -> Original | None:
        """The body of a class; None if there isn't one of that name."""
        if name not in self._classes:
            starts = self._class_starts.get(name, [])
            rest = self._text[starts[0] :] if len(starts) == 1 else ""
            self._classes[name] = Original(_body(rest), "    ", self) if rest else None
        return self._classes[name]

    def defines(self, name: str) -> bool:
        """Whether the one thing that the text calls so is a function, as it is."""
        return self._defined[name] == 1 and name not in self._starts

    def is_decorated(self, name: str) -> bool:
        """Whether a function or class that the text defines once has decorators."""
        if name not in self._decorated:
            self._decorated[name] = self._looks_decorated(name)
        return self._decorated[name]

    def _looks_decorated(self, name: str) -> bool:
        found = re.search(rf"^{self._indent}(?:async def|def|class) {re.escape(name)}\b", self._text, re.MULTILINE)
        before = self._text[: found.start() if found else 0].rstrip("\n").rpartition("\n")[2]
        return before.startswith((f"{self._indent}@", f"{self._indent})"))

    def alias(self, name: str) -> str | None:
        """The dotted name that `name` is another one of; None if it is none. It may be touched later."""
        starts = self._starts.get(name, [])
        if len(starts) != 1 or name in self._defined:
            return None
        line = self._text[starts[0] : self._text.find("\n", starts[0])]
        found = _ALIAS.fullmatch(line)
        return found[1] if found else None

    def touches(self, name: str) -> bool:
        """Whether the text changes a name after it was assigned, or may do so."""
        return name in self._touched

    @cached_property
    def assigned_by_functions(self) -> set[str]:
        """The names that functions declare as global."""
        return {
            name for each in re.finditer(r"^[ \t]+global ([^#\n]+)", self._text, re.MULTILINE) for name in _WORD.findall(each[1])
        }

    def first_value(self, name: str) -> Any:
        """What `name` is by the text, until functions assign it; `UNKNOWN` if it can't be told."""
        return self._value_of(name, strictly=False)

    def signature(self, name: str) -> dict[str, Any] | None:
        """The defaults of a function that has no decorators, by parameter: `UNKNOWN` where it can't be told."""
        if name not in self._signatures:
            self._signatures[name] = self._read_signature(name)
        return self._signatures[name]

    def _read_signature(self, name: str) -> dict[str, Any] | None:
        found = re.search(rf"^def {re.escape(name)}\(", self._text, re.MULTILINE)
        if found is None or not self.defines(name) or self._text[: found.start()].rstrip("\n").rpartition("\n")[2][:1] == "@":
            return None
        end = re.search(r":[ \t]*(?:#[^\n]*)?\n|:[ \t]*[^\s\n]", self._text[found.end() :])
        header = self._text[found.start() : found.end() + end.start()] if end else ""
        try:
            node = ast.parse(f"{header}: pass").body[0]
        except SyntaxError:
            return None
        assert isinstance(node, ast.FunctionDef)
        plain = [*node.args.posonlyargs, *node.args.args]
        given = [*zip(plain[len(plain) - len(node.args.defaults) :], node.args.defaults, strict=True)]
        given += [(each, default) for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default]
        return {each.arg: self._evaluated(default, strictly=True) for each, default in given}

    def _value_of(self, name: str, *, strictly: bool) -> Any:
        if (name, strictly) not in self._known:
            self._known[name, strictly] = UNKNOWN  # of itself
            self._known[name, strictly] = self._read(name, strictly=strictly)
        return self._known[name, strictly]

    def _read(self, name: str, *, strictly: bool) -> Any:
        starts = self._starts.get(name, [])
        if not starts and self._around is not None and not self.defines(name) and name not in self._touched:
            return self._around._value_of(name, strictly=strictly)
        if len(starts) != 1 or (strictly and name in self._touched):
            return UNKNOWN
        node = _statement(self._text, starts[0], len(self._indent))
        found = self._evaluated(node.value, strictly=strictly) if node is not None and node.value is not None else UNKNOWN
        return found if found not in _EMPTY else UNKNOWN  # functions fill it

    def _evaluated(self, node: ast.expr, *, strictly: bool) -> Any:
        try:
            return self._value(node, strictly)
        except (ValueError, TypeError, SyntaxError, RecursionError, ArithmeticError):
            return UNKNOWN

    def _value(self, node: ast.expr, strictly: bool) -> Any:
        """What an expression is.

        Raises:
            ValueError: it is more than literals, what is put together of them, and names of such.
        """
        if isinstance(node, ast.Name):
            if (found := self._value_of(node.id, strictly=strictly)) is UNKNOWN:
                raise ValueError(node.id)
            return found
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](self._value(node.left, strictly), self._value(node.right, strictly))
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
            return kind(self._value(each, strictly) for each in node.elts)
        if isinstance(node, ast.Dict):
            if None in node.keys:
                raise ValueError("**")
            pairs = zip(node.keys, node.values, strict=True)
            return {self._value(key, strictly): self._value(each, strictly) for key, each in pairs if key}
        if isinstance(node, ast.Call) and not node.keywords and (made := _MAKERS.get(ast.unparse(node.func))) is not None:
            return made(*(self._value(each, strictly) for each in node.args))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in _FLAGS:
            return _FLAGS[ast.unparse(node)]
        return ast.literal_eval(node)


def _has_word(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        around = text[max(at - 1, 0) : at], text[at + len(word) : at + len(word) + 1]
        if not any(each.isalnum() or each == "_" for each in around):
            return True
        at = text.find(word, at + 1)
    return False


def _refuse() -> Any:
    raise ValueError("makes a large value")


def _body(text: str) -> str:
    """The beginning of `text` up to the next line that isn't indented, unless that is inside of a text of several lines."""
    for end in re.finditer(r"\n(?=[^\s#)\]}])", text):
        body = text[: end.start()]
        if not (body.count('"""') % 2 or body.count("'''") % 2):
            return body
    return text


def _touched(text: str, indent: str) -> Iterator[str]:
    """The names that statements change after they were assigned, or that functions, loops and imports may assign."""
    is_inside = False
    for line in text.splitlines():
        plain = line.lstrip(" ")
        depth = len(line) - len(plain)
        if plain and depth <= len(indent):
            is_inside = plain.startswith(_SCOPES)
        if plain.startswith("global "):
            yield from _WORD.findall(plain)
        elif not is_inside and depth >= len(indent):
            if plain.startswith(_BINDING):
                yield from _WORD.findall(plain)
            elif (found := _CHANGED.match(plain)) or (depth > len(indent) and (found := _ASSIGNED.match(plain))):
                yield found[1]


@lru_cache(maxsize=512)
def _of_file(file: str) -> Original | None:
    lines = linecache.getlines(file)
    return Original("".join(lines)) if lines else None


def original(module: ModuleType) -> Original | None:
    """The text of a module of the library; None if there is none."""
    file = getattr(module, "__file__", None)
    return _of_file(file) if isinstance(file, str) and file.endswith(".py") else None


def _statement(text: str, start: int, depth: int) -> ast.Assign | ast.AnnAssign | None:
    """The assignment that begins at `start` of `text`, indented by `depth`."""
    lines: list[str] = []
    for line in io.StringIO(text[start : start + _CHARACTERS_MAX]):
        if lines and not _goes_on(line, depth):
            break
        lines.append(line)
    written = "".join(lines)  # as it is: texts of several lines would be others if it were moved to the left
    try:
        body = ast.parse(written).body if not depth else ast.parse(f"if True:\n{written}").body[0].body  # type: ignore[attr-defined]
    except SyntaxError:
        return None
    return body[0] if len(body) == 1 and isinstance(body[0], ast.Assign | ast.AnnAssign) else None


def _goes_on(line: str, depth: int) -> bool:
    """Whether a line belongs to the statement before it: it is indented further, closes brackets, or is a comment or empty."""
    plain = line.lstrip(" ")
    return len(line) - len(plain) > depth or plain[:1] in ")]}#\n"
