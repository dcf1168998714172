"""The guest's own Python: which files, and what of them is built in: code, without comments, docstrings and blank lines.

So the guest, and the digest that is pinned beside its hash, change with what the files say to a machine and with nothing else.
A test compares the digest with the sources: a guest that lags behind them would not have what the host believes it has.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

#: Folders and files below `pangea/compute` that are in the guest.
PARTS = ("runtime/guest", "data", "model/frames.py")

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def guest_files(package: Path) -> Iterator[Path]:
    """The files that the guest is built of, relative to `package`, in order."""
    for part in PARTS:
        whole = package / part
        found = sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]
        yield from (path.relative_to(package) for path in found)


def staged(package: Path) -> dict[str, bytes]:
    """What is built in, by path relative to `package`.

    Args:
        package: the folder `pangea/compute`.
    """
    return {str(path): bare((package / path).read_text(encoding="utf-8")).encode() for path in guest_files(package)}


def digest(package: Path) -> str:
    """SHA-256, in hex, of what is built in."""
    total = hashlib.sha256()
    for path, text in staged(package).items():
        total.update(f"{path}\0{len(text)}\0".encode() + text)
    return total.hexdigest()


def bare(text: str) -> str:
    """A module's text without comments, docstrings (empty ones in their place) and blank lines."""
    lines = [line.encode() for line in text.splitlines()]  # columns of a syntax tree count bytes
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            string = node.body[0]
            assert string.end_lineno is not None
            lines[string.lineno - 1] = lines[string.lineno - 1][: string.col_offset] + b'""'
            lines[string.lineno : string.end_lineno] = [b""] * (string.end_lineno - string.lineno)
    plain = [line.decode() for line in lines]
    for token in tokenize.generate_tokens(io.StringIO("\n".join(plain) + "\n").readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            plain[row - 1] = plain[row - 1][:column]
    return _without_blank_lines(plain)


def _without_blank_lines(lines: list[str]) -> str:
    """Blank lines inside a string stay: they are part of it."""
    text = "\n".join(lines) + "\n"
    inside = {
        row
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno is not None
        for row in range(node.lineno, node.end_lineno)
    }
    kept = [line if row in inside else line.rstrip() for row, line in enumerate(lines, 1) if line.strip() or row in inside]
    return "\n".join(kept) + "\n"
