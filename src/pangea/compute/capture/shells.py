"""Texts that shells have run, and kept: what was typed into Python's own, or read by it, and IPython's magics.

Each is only a candidate: `proof` compiles it and compares.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import os
import re
import stat
import sys
import textwrap
import warnings
from collections.abc import Iterator
from typing import Any

_HISTORY_LINES = 5000
#: Lines of one statement typed into a shell, at most.
_BLOCK_LINES = 1000
#: How the next line of a statement begins that isn't indented.
_GOES_ON = re.compile(r"[\s)\]}]|(?:else|elif|except|finally|case)\b")
#: Where something is defined, so that it is worth while to look for the whole statement.
_DEFINES = re.compile(r"\b(?:def|lambda|class)\b")
#: Magics that compile what stands behind them, by the name that the code gets: with their options.
_MAGICS = {"<timed exec>": "time", "<timed eval>": "time", "<string>": "prun"}
_DEDUPERELOAD = "IPython.extensions.deduperreload.deduperreload"


def magic_texts(file: str) -> Iterator[str]:
    """What stands behind `%time`, `%%time`, `%prun` and `%%prun` in a notebook's cells, latest first."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or file not in _MAGICS:
        return
    line_magic = re.compile(rf"%{_MAGICS[file]}\b((?:[ \t]+-\w+(?:[ \t]+\d+)?)*)[ \t]+(.*)")
    cell_magic = re.compile(rf"^%%{_MAGICS[file]}\b[^\n]*\n(.*)", re.M | re.S)
    for cell in reversed(shell.history_manager.input_hist_raw):
        found = [match[1] for match in cell_magic.finditer(cell)]
        found += [part for match in line_magic.finditer(cell) for part in (match[2], f"{match[1]} {match[2]}".strip())]
        for text in found:
            yield shell.transform_cell(text)


def reloaded_texts(file: str) -> Iterator[str]:
    """What IPython's `%autoreload` makes of the definitions in `file` that have changed: each alone, written anew."""
    if _DEDUPERELOAD not in sys.modules or not os.path.isfile(file):  # noqa: PTH113 (not always a path)
        return
    with contextlib.suppress(OSError, ValueError, SyntaxError), open(file, "rb") as stream:
        for node in _definitions(ast.parse(stream.read()).body):
            text = ast.unparse(node)
            yield text
            yield "class __autoreload_class__:\n" + textwrap.indent(text, "    ")


def _definitions(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body)


def registered_texts(file: str) -> Iterator[str]:
    """What Python since 3.13 has compiled in its plain shell, by the code that it became: not by the file's name, as others."""
    registered: dict[tuple[str, str, int], Any] = getattr(linecache, "_interactive_cache", {})
    texts = {"".join(entry[2]): None for (name, *_), entry in list(registered.items()) if name == file}
    yield from reversed(texts)


def standard_input_texts() -> Iterator[str]:
    """What Python has read from standard input, whole and by statement, and what was typed into its shell."""
    whole = _standard_input_text()
    yield whole
    yield from _statements(whole.splitlines())  # `python -i < file` compiles them one by one
    yield from _statements(_history())


def _standard_input_text() -> str:
    try:
        about = os.fstat(0)
        return os.pread(0, about.st_size, 0).decode() if stat.S_ISREG(about.st_mode) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _statements(lines: list[str]) -> Iterator[str]:
    """Statements typed into an interactive shell that define something, latest first; each begins at its own line 1."""
    for start in reversed(range(len(lines))):
        if lines[start] and not _GOES_ON.match(lines[start]) and (text := _statement_at(lines, start)):
            yield text


def _statement_at(lines: list[str], start: int) -> str | None:
    """The longest statement that begins on a line."""
    found, end, last = None, start, min(len(lines), start + _BLOCK_LINES)
    while end < last:
        end += 1
        while end < last and lines[end - 1].strip() and _GOES_ON.match(lines[end]):
            end += 1
        text = "\n".join(lines[start:end])
        if _is_whole(text):
            found = text
            if end == last or not (_GOES_ON.match(lines[end]) or lines[end - 1].startswith("@")):
                break
        elif found is not None or (end - start == 1 and not _begins(text)):
            break
    return found if found is not None and _DEFINES.search(found) else None


def _begins(line: str) -> bool:
    """Whether more lines can make a statement of it."""
    return (
        line.rstrip().endswith((":", "\\", ",", "(", "[", "{"))
        or line.startswith("@")
        or bool(re.search(r"[([{]|'''|\"\"\"", line))
    )


def _is_whole(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _history() -> list[str]:
    readline = sys.modules.get("readline")
    if readline is None:
        return []
    count = readline.get_current_history_length()
    return [readline.get_history_item(index) or "" for index in range(max(1, count - _HISTORY_LINES), count + 1)]
