"""The texts that a file name may stand for: files, notebook cells, `exec` with a registered source, `python -c`, shells.

Nothing here decides whether a text is the right one: `proof` compiles it and compares.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import sys
import textwrap
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any

from pangea.compute.capture import shells


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


def remember(file: str, content: bytes) -> None:
    """Keep the text of a file that can be read once, such as a pipe, where tracebacks and proofs look for it."""
    with contextlib.suppress(SyntaxError, UnicodeDecodeError):
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        lines = _normal(content.decode(encoding)).splitlines(keepends=True)
        linecache.cache[file] = (len(content), None, lines, file)


def _texts(file: str, module_globals: Mapping[str, Any]) -> Iterator[str]:
    with contextlib.suppress(Exception):  # a loader of someone else's, asked for its text
        yield _normal("".join(linecache.getlines(file, dict(module_globals))))
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        if os.path.isfile(file):  # noqa: PTH113 (not always a path)
            with tokenize.open(file) as stream:
                yield _normal(stream.read())
    if file == "<string>" and (command := _command_line_text()) is not None:
        yield _normal(command)
        yield _normal(textwrap.dedent(command))
    if file in ("<stdin>", "<console>"):
        yield from map(_normal, shells.standard_input_texts())
    yield from map(_normal, shells.registered_texts(file))
    yield from map(_normal, shells.magic_texts(file))
    yield from map(_normal, shells.reloaded_texts(file))


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"


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
