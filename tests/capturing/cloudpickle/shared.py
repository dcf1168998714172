"""What several cases make."""

from __future__ import annotations

import linecache
import textwrap
import types
from typing import Any


def cell(text: str, space: dict[str, Any], name: str) -> dict[str, Any]:
    """Run a notebook cell."""
    text = textwrap.dedent(text)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), space)
    return space


def dynamic(package: bool) -> types.ModuleType:
    module = types.ModuleType("dynamic_one")
    if not package:
        del module.__package__
    exec("x = 1\ndef f(y): return x + y\nclass Foo:\n  def method(self, z): return f(z)\n", vars(module))
    return module
