"""The text of cells that a notebook's kernel compiles in ways of its own."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import linecache
import sys
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest

from pangea.compute.capture.archive import build_archive
from pangea.compute.runtime.guest.library import MemoryFinder
from pangea.compute.runtime.guest.loading import load


def carried(function: Any) -> Any:
    """What the function returns, rebuilt here as the guest would."""
    main = sys.modules["__main__"]
    try:
        archive = build_archive({"execute": function}, {})
        return load(archive, MemoryFinder({})).functions["execute"](b"x")
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
