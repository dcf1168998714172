"""The house rules that ruff doesn't know: sizes, and names that some rooms may not use."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pangea.compute

ROOT = Path(__file__).parents[1]
SOURCES = sorted(Path(pangea.compute.__path__[0]).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 500
#: Equal for equal input on every machine, and without effects: so none of these in the pure rooms.
IMPURE = {"hash", "id", "open", "print", "input", "exec", "eval"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def calls_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each call whose target is a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def long_functions(tree: ast.AST) -> list[str]:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {f"{node.name}, line {node.lineno}": (node.end_lineno or 0) - node.lineno + 1 for node in found}
    return [f"{name}: {lines} lines" for name, lines in sizes.items() if lines > FUNCTION_LINES_MAX]


def impure_calls(tree: ast.AST) -> list[str]:
    return [f"line {line}: {name}" for line, name in calls_in(tree) if name in IMPURE]


def sleeps(tree: ast.AST) -> list[str]:
    direct = [f"line {line}" for line, name in calls_in(tree) if name in {"time.sleep", "asyncio.sleep", "sleep"}]
    imported = [
        f"line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time" and any(name.name == "sleep" for name in node.names)
    ]
    return direct + imported


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.name))
def test_no_function_is_longer_than_sixty_lines(path: Path) -> None:
    assert long_functions(tree_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.name))
def test_no_module_is_longer_than_five_hundred_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if {"model", "orchestrator", "verification"} & set(path.parts)],
    ids=lambda path: str(path.name),
)
def test_the_pure_rooms_call_no_impure_builtin(path: Path) -> None:
    assert impure_calls(tree_of(path)) == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_sleeps(path: Path) -> None:
    assert sleeps(tree_of(path)) == []


def test_the_rules_see_what_breaks_them() -> None:
    long = "def f():\n" + " pass\n" * FUNCTION_LINES_MAX
    assert long_functions(ast.parse(long)) == [f"f, line 1: {FUNCTION_LINES_MAX + 1} lines"]
    assert long_functions(ast.parse(f"async {long}"))
    assert impure_calls(ast.parse("x = [id(y) for y in z]")) == ["line 1: id"]
    assert impure_calls(ast.parse("self.id(y); record.open()")) == []
    assert sleeps(ast.parse("import time\ntime.sleep(1)")) == ["line 2"]
    assert sleeps(ast.parse("from time import sleep")) == ["line 1"]
    assert len(SOURCES) > 30
    assert len(TESTS) > 10
