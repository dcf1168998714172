"""The text of cells that a notebook's kernel compiles in ways of its own."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import io
import linecache
import sys
import textwrap
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pangea.compute.capture.archive import build_archive
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.runtime.guest.loading import load
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns


def carried(function: Any) -> Any:
    """What the function returns, rebuilt here as the guest would."""
    main = sys.modules["__main__"]
    try:
        archive = build_archive({"execute": function}, {})
        return load(archive, PackageFinder(), StandIns()).functions["execute"](b"x")
    finally:
        sys.modules["__main__"] = main


def test_a_cell_that_awaits() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    text = (
        "async def one():\n    return 1\n"
        "k, twice = await one(), lambda x: 2 * x\n"
        "def execute(chunk):\n    return twice(chunk) + b'%d' % k\n"
    )
    linecache.cache["/tmp/ipykernel_1/1.py"] = (len(text), None, text.splitlines(keepends=True), "/tmp/ipykernel_1/1.py")
    ran = eval(compile(text, "/tmp/ipykernel_1/1.py", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    assert inspect.iscoroutine(ran)
    with contextlib.suppress(StopIteration):
        ran.send(None)
    assert carried(names["execute"]) == b"xx1"


def test_a_cell_that_imports_what_its_functions_call() -> None:
    text = (
        "import json, math\n"
        "def root(x): return math.sqrt(x)\n"
        "class Shown:\n    def text(self, x): return json.dumps([root(each) for each in x])\n"
        "shown = lambda x: json.dumps(x); execute = lambda chunk: (Shown().text([4]) + shown(1)).encode()\n"
    )
    linecache.cache["/tmp/ipykernel_1/2.py"] = (len(text), None, text.splitlines(keepends=True), "/tmp/ipykernel_1/2.py")
    names: dict[str, Any] = {"__name__": "__main__"}
    for node in ast.parse(text).body:  # so IPython does it, and so calls of what another statement imports compile differently
        exec(compile(ast.Interactive([node]), "/tmp/ipykernel_1/2.py", "single"), names)
    assert carried(names["execute"]) == b"[2.0]1"


def test_a_cell_that_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def execute(chunk):\n    return chunk * 2\n"
    history = SimpleNamespace(input_hist_raw=["x = 1", f"%%time -q\n{text}", "%%time\ny = 2"])
    shell = SimpleNamespace(history_manager=history, transform_cell=lambda cell: cell)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "<timed exec>", "exec"), names)
    assert carried(names["execute"]) == b"xx"
    with zipfile.ZipFile(io.BytesIO(build_archive({"execute": names["execute"]}, {}))) as archive:
        assert "# <cell 1>, line 1\n" in archive.read("job.py").decode()


def in_notebook(monkeypatch: pytest.MonkeyPatch, *cells: str) -> None:
    """Have these be the cells that a notebook has run."""
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=[*cells]), transform_cell=lambda cell: cell)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.parametrize(
    ("file", "cell", "text"),
    [
        ("<timed eval>", "x = 1\n%time print(lambda c: c * 2)", "print(lambda c: c * 2)"),
        ("<timed exec>", "    r = %time -q f = lambda c: c * 2", "f = lambda c: c * 2"),
        ("<timed eval>", "%%time\n(lambda c:\n  c * 2)", "(lambda c:\n  c * 2)"),
        ("<string>", "%prun -l 3 f = lambda c: c * 2", "f = lambda c: c * 2"),
        ("<string>", "%%prun\nf = 0\nf = lambda c: c * 2", "f = 0\nf = lambda c: c * 2"),
    ],
)
def test_what_stands_behind_a_magic(file: str, cell: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_notebook(monkeypatch, cell, "%time nothing", "y = 2")
    found: list[Any] = []
    names: dict[str, Any] = {"__name__": "__main__", "print": found.append}
    value = (eval if "eval" in file else exec)(compile(text, file, "eval" if "eval" in file else "exec"), names)
    execute = next(each for each in (value, *found, names.get("f")) if each is not None)
    assert carried(execute) == b"xx"


def test_what_is_timed_many_times_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    in_notebook(monkeypatch, "%timeit map(lambda c: c * 2, [b'x'])")
    function = eval(compile("lambda c: c * 2", "<magic-timeit>", "eval"), {"__name__": "__main__"})
    with pytest.raises(JobDefinitionError, match="timeit made it") as refused:
        carried(function)
    assert "define it before" in refused.value.hint


RELOADED = """
import functools
K = 3  # a comment, which isn't kept
def plain(c):

    return c * K
class Own:
    def method(self, c): return c + b"%d" %   K
"""


def test_what_autoreload_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As IPython does it: what changed is written anew and compiled alone, and its code put into the old function."""
    file = tmp_path / "reloaded.py"
    file.write_text(RELOADED.replace("* K", "* 1").replace("%d", "?%d"))
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(file.read_text(), str(file), "exec"), names)
    file.write_text(RELOADED)
    _, _, plain, own = ast.parse(RELOADED).body
    assert isinstance(own, ast.ClassDef)
    parts: dict[str, Any] = {}
    exec(compile(ast.unparse(plain), str(file), "exec"), names, parts)
    method = textwrap.indent(ast.unparse(own.body[0]), "    ")
    exec(compile(f"class __autoreload_class__:\n{method}", str(file), "exec"), names, parts)
    names["plain"].__code__ = parts["plain"].__code__
    names["Own"].method.__code__ = parts["__autoreload_class__"].method.__code__
    with pytest.raises(JobDefinitionError, match="isn't what its source text says"):
        carried(names["plain"])
    monkeypatch.setitem(sys.modules, "IPython.extensions.deduperreload.deduperreload", SimpleNamespace())
    assert carried(names["plain"]) == b"xxx"
    assert carried(names["Own"]().method) == b"x3"


TYPED = [
    "def first(c):",
    "    return c * 2",
    "text = '''def first(c):",
    "in a text",
    "'''",
    "def second(c):",
    "    text = '''",
    "at the margin",
    "'''",
    "    return c + text.encode()",
    "if True:",
    "    def third(c): return c * 3",
    "else:",
    "    pass",
    "table = {",
    "'a': lambda c: c * 4,",
    "}",
    "@functools.cache",
    "def fifth(c):",
    "    return c * 5",
    "first = 0",
]


def test_what_was_typed_into_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = SimpleNamespace(get_current_history_length=lambda: len(TYPED), get_history_item=lambda index: TYPED[index - 1])
    monkeypatch.setitem(sys.modules, "readline", lines)
    names: dict[str, Any] = {"__name__": "__main__", "functools": functools}
    for start, end in ((0, 2), (5, 10), (10, 14), (14, 17), (17, 20)):
        exec(compile("\n".join(TYPED[start:end]) + "\n", "<stdin>", "single"), names)
    assert carried(names["first"]) == b"xx"
    assert carried(names["second"]) == b"x\nat the margin\n"
    assert carried(names["third"]) == b"xxx"
    assert carried(names["table"]["a"]) == b"xxxx"
    assert carried(names["fifth"].__wrapped__) == b"xxxxx"


def test_what_python_registers_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def execute(c):\n    return c * 2\n"
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "<stdin-7>", "single"), names)
    with pytest.raises(JobDefinitionError, match="has no source text"):
        carried(names["execute"])
    entries = {
        ("<stdin-7>", "execute", 1): (len(text), None, text.splitlines(keepends=True), "<stdin-7>"),
        ("<stdin-8>", "execute", 1): (1, None, ["0"], "<stdin-8>"),
    }
    monkeypatch.setattr(linecache, "_interactive_cache", entries, raising=False)
    assert carried(names["execute"]) == b"xx"
