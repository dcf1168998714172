"""The texts that a file name may stand for: files, notebook cells, `exec` with a registered source, `python -c`, shells.

Nothing here decides whether a text is the right one: `proof` compiles it and compares.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import stat
import sys
import textwrap
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any

_HISTORY_LINES = 5000


def display_name(file: str) -> str:
    """The name of `file` without its folder, so that it is the same wherever the file lies; as text, whatever its bytes are."""
    name = file if file.startswith("<") else os.path.basename(file)  # noqa: PTH119 (not always a path)
    return name.encode("utf-8", "backslashreplace").decode()


def is_cell(file: str) -> bool:
    """Whether `file` is a notebook cell or an interactive input: in no file, with a name that changes from run to run."""
    return file != "<string>" and (file.startswith("<") or not os.path.exists(file))  # noqa: PTH110


def texts(file: str, module_globals: Mapping[str, Any]) -> Iterator[str]:
    """The texts that `file` may stand for, likeliest first, each once.

    Args:
        file: as code objects have it.
        module_globals: of the module, whose loader may know the text.
    """
    seen: set[str] = set()
    for text in _texts(file, module_globals):
        if text.strip() and text not in seen:
            seen.add(text)
            yield text


def _texts(file: str, module_globals: Mapping[str, Any]) -> Iterator[str]:
    with contextlib.suppress(Exception):  # a loader of someone else's, asked for its text
        yield _normal("".join(linecache.getlines(file, dict(module_globals))))
    with contextlib.suppress(OSError, SyntaxError, ValueError), tokenize.open(file) as stream:
        yield _normal(stream.read())
    if file == "<string>" and (command := _command_line_text()) is not None:
        yield _normal(command)
        yield _normal(textwrap.dedent(command))
    if file == "<timed exec>":
        yield from map(_normal, _timed_cells())
    if file == "<stdin>":
        whole = _standard_input_text()
        yield _normal(whole)
        yield from map(_normal, _inputs_of(whole.splitlines()))  # `python -i < file` compiles them one by one
        yield from map(_normal, _inputs_of(_history()))


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"


def _timed_cells() -> Iterator[str]:
    """What stands below `%%time` in a notebook's cells, latest first."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return
    for cell in reversed(shell.history_manager.input_hist_raw):
        magic, _, text = cell.partition("\n")
        if magic.startswith("%%time"):
            yield shell.transform_cell(text)


def _command_line_text() -> str | None:
    """The argument of `python -c`."""
    arguments = iter(sys.orig_argv[1:])
    for argument in arguments:
        if not argument.startswith("-") or argument.startswith("--"):
            continue
        for index, option in enumerate(argument[1:], 2):
            rest = argument[index:]
            if option == "c":
                return rest or next(arguments, None)
            if option in "WX":
                _ = rest or next(arguments, None)
                break
    return None


def _standard_input_text() -> str:
    try:
        about = os.fstat(0)
        return os.pread(0, about.st_size, 0).decode() if stat.S_ISREG(about.st_mode) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _inputs_of(lines: list[str]) -> Iterator[str]:
    """Blocks typed into an interactive shell, latest first; a definition starts at its own line 1."""
    for start in reversed(range(len(lines))):
        if lines[start].startswith(("def ", "@", "class ", "async ")) or "lambda" in lines[start]:
            end = start + 1
            while end < len(lines) and (lines[end].startswith((" ", "\t", ")", "]", "}")) or lines[end - 1].startswith("@")):
                end += 1
            yield "\n".join(lines[start:end])


def _history() -> list[str]:
    readline = sys.modules.get("readline")
    if readline is None:
        return []
    count = readline.get_current_history_length()
    return [readline.get_history_item(index) or "" for index in range(max(1, count - _HISTORY_LINES), count + 1)]
