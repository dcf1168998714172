"""Which wasmtime is installed, and whether it may be used; nothing of it is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

#: Older lines have published escapes and host crashes (GHSA-2hw9-mc66-jc2q, CVE-2026-34971 and others).
FLOOR = (50, 0, 1)


def problem() -> str | None:
    """What is wrong with the installed wasmtime, or None when it is at or above the floor."""
    found = installed()
    if tuple(int(part) for part in found.split(".")[:3]) >= FLOOR:
        return None
    return f"wasmtime {found} is older than {'.'.join(map(str, FLOOR))}, which has security fixes"


def installed() -> str:
    """By its metadata's folder: `importlib.metadata` takes as long to load as wasmtime itself, in every worker process."""
    spec = find_spec("wasmtime")
    folder = Path(spec.origin).parents[1] if spec is not None and spec.origin is not None else Path()
    found = [each.name.removeprefix("wasmtime-").removesuffix(".dist-info") for each in folder.glob("wasmtime-*.dist-info")]
    if len(found) == 1:
        return found[0]
    from importlib.metadata import version

    return version("wasmtime")
