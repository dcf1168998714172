"""The house rules that ruff doesn't know: sizes, and names that some rooms may not use."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pangea.compute

ROOT = Path(__file__).parents[1]
SOURCES = sorted(Path(pangea.compute.__path__[0]).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 500
#: Equal for equal input on every machine, and without effects: so none of these in the pure rooms.
IMPURE = {"hash", "id", "open", "print", "input", "exec", "eval"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def calls_in(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call, and the dotted name of what it calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def dotted(target: ast.expr) -> str:
    """The name of what is called; `?` for what has none."""
    match target:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{dotted(owner)}.{name}"
        case _:
            return "?"


def statements_in(tree: ast.AST) -> Iterator[ast.AST]:
    """Each statement, without a look into expressions, which are nine tenths of a tree and hold none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            yield node
            yield from statements_in(node)


def long_functions(tree: ast.AST) -> list[str]:
    found = [node for node in statements_in(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {f"{node.name}, line {node.lineno}": (node.end_lineno or 0) - node.lineno + 1 for node in found}
    return [f"{name}: {lines} lines" for name, lines in sizes.items() if lines > FUNCTION_LINES_MAX]


def impure_calls(tree: ast.AST) -> list[str]:
    return [f"line {call.lineno}: {name}" for name, call in calls_in(tree) if name in IMPURE]


def sleeps(tree: ast.AST) -> list[str]:
    """Waits for a time; `asyncio.sleep(0)` is one turn of the loop."""
    calls = [(name, call) for name, call in calls_in(tree) if name in {"time.sleep", "asyncio.sleep", "sleep"}]
    direct = [f"line {call.lineno}" for name, call in calls if name != "asyncio.sleep" or ast.unparse(call.args[0]) != "0"]
    imported = [
        f"line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time" and any(name.name == "sleep" for name in node.names)
    ]
    return direct + imported


def found_in(paths: Iterable[Path], rule: Callable[[ast.Module], list[str]]) -> list[str]:
    """What breaks a rule, each with its file."""
    return [f"{path.relative_to(ROOT)}: {breach}" for path in paths for breach in rule(tree_of(path))]


def test_no_function_is_longer_than_sixty_lines() -> None:
    assert found_in(SOURCES, long_functions) == []


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in [*SOURCES, *TESTS]}
    assert {path: lines for path, lines in sizes.items() if lines > MODULE_LINES_MAX} == {}


def test_the_pure_rooms_call_no_impure_builtin() -> None:
    pure = [path for path in SOURCES if {"model", "flow", "orchestrator", "verification"} & set(path.relative_to(ROOT).parts)]
    assert len(pure) > 20
    assert found_in(pure, impure_calls) == []


def test_no_test_sleeps() -> None:
    asleep_in_a_job = {"test_asyncio_in_jobs.py"}
    named = [path for path in TESTS if "sleep" in path.read_text() and path.name not in asleep_in_a_job]
    assert Path(__file__) in named
    assert found_in(named, sleeps) == []


def test_the_rules_see_what_breaks_them() -> None:
    long = "def f():\n" + " pass\n" * FUNCTION_LINES_MAX
    assert long_functions(ast.parse(long)) == [f"f, line 1: {FUNCTION_LINES_MAX + 1} lines"]
    assert long_functions(ast.parse(f"async {long}"))
    for around in (
        "class A:",
        "if x:",
        "try:\n pass\nexcept OSError:",
        "match x:\n case 1:",
        "with x:",
        "for y in x:\n pass\nelse:",
    ):
        inner = "\n".join(f"  {line}" for line in long.splitlines())
        assert len(long_functions(ast.parse(f"{around}\n{inner}"))) == 1
    assert impure_calls(ast.parse("x = [id(y) for y in z]")) == ["line 1: id"]
    assert impure_calls(ast.parse("self.id(y); record.open()")) == []
    assert sleeps(ast.parse("import time\ntime.sleep(1)")) == ["line 2"]
    assert sleeps(ast.parse("from time import sleep")) == ["line 1"]
    assert sleeps(ast.parse("asyncio.sleep(0)\nasyncio.sleep(0.1)")) == ["line 2"]
    assert len(SOURCES) > 30
    assert len(TESTS) > 10
