"""What the guest is built of, and a digest of it that comments and docstrings don't change.

The digest is pinned beside the guest's own hash. A test compares it with the sources: a guest that lags behind them would not
have what the host believes it has.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

#: Folders and files below `pangea/compute` that are in the guest.
PARTS = ("runtime/guest", "data", "model/frames.py")

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def guest_files(package: Path) -> Iterator[Path]:
    """The files that the guest is built of, relative to `package`, in order."""
    for part in PARTS:
        whole = package / part
        found = sorted(whole.rglob("*")) if whole.is_dir() else [whole]
        yield from (path.relative_to(package) for path in found if path.suffix in (".py", ".wit"))


def digest(package: Path) -> str:
    """SHA-256, in hex, of what the files say to a machine.

    Args:
        package: the folder `pangea/compute`.
    """
    total = hashlib.sha256()
    for path in guest_files(package):
        text = (package / path).read_text(encoding="utf-8")
        total.update(f"{path}\n{_bare(text) if path.suffix == '.py' else text}\n".encode())
    return total.hexdigest()


def _bare(text: str) -> str:
    """The syntax tree of a module, without docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return repr(_plain(tree))


def _plain(value: object) -> object:
    """A syntax tree as tuples, without what is empty: versions of Python differ in that (`ast.dump`, too)."""
    if isinstance(value, ast.AST):
        fields = [(name, getattr(value, name, None)) for name in value._fields]
        return type(value).__name__, [(name, _plain(each)) for name, each in fields if each not in (None, [])]
    return [_plain(each) for each in value] if isinstance(value, list) else value
