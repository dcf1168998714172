"""What travels of packages beside their code: the files that they may read, and what says their names and versions.

Files come along with packages whose text looks for any: those beside the package's own code, and each folder in it with all that
it has, the smallest first, as far as there is room; of what is too large, the files that the package's text names. Which stayed
behind is told to the job: there, looking for one is an error.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from pangea.compute.model.units import MIB

#: Of the files of all packages of a job.
BYTES_MAX = 4 * MIB
_LOOKS_FOR_FILES = re.compile(
    rb"\b(__file__|__path__|get_data|getsourcefile|getfile|resources|resource_filename|resource_string|resource_stream)\b"
)
_ASKS_FOR_METADATA = re.compile(rb"\b(importlib.metadata|importlib_metadata|pkg_resources)\b|importlib import metadata")
_CODE = (".py", ".pyc", ".pyo", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".pyd", *EXTENSION_SUFFIXES)
_LEFT_OUT = {"__pycache__", "test", "tests", "testing"}
_METADATA = ("METADATA", "entry_points.txt")
_Files = dict[str, Path]


def take_files(folders: Mapping[str, Path], texts: Mapping[str, bytes], room: int) -> tuple[dict[str, bytes], list[str]]:
    """Contents of packages' files by their path below `lib/`, and the files and folders that there is no room for.

    Args:
        folders: by the full name of a package.
        texts: of the packages' code, by the same kind of path.
        room: bytes of the job's archive that are left.
    """
    parts: dict[str, _Files] = {}
    for package, folder in sorted(folders.items()):
        prefix = package.replace(".", "/")
        if any(_LOOKS_FOR_FILES.search(text) for name, text in texts.items() if name.startswith(f"{prefix}/")):
            for name, path in _files(folder):
                first, is_below, _ = name.partition("/")
                parts.setdefault(f"{prefix}/{first}" if is_below else prefix, {})[f"{prefix}/{name}"] = path
    taken: dict[str, bytes] = {}
    left: list[str] = []
    room = min(room, BYTES_MAX)
    for part, files in sorted(parts.items(), key=lambda each: (_size(each[1]), each[0])):
        named = files if _size(files) <= room else _named(files, texts)
        chosen = named if _size(named) <= room else {}
        room -= _size(chosen)
        taken |= {name: path.read_bytes() for name, path in chosen.items()}
        is_whole_folder_left = not chosen and not any(name.startswith(f"{part}/") for name in texts)
        left += [part] if is_whole_folder_left else files.keys() - chosen.keys()
    return taken, sorted(left)


def take_metadata(tops: Mapping[str, Path], texts: Mapping[str, bytes], *, is_asked: bool) -> dict[str, bytes]:
    """What says the names and versions of packages, by the path below `lib/`, if a text asks for such.

    Args:
        tops: of a package or a module, the folder that it lies in.
        texts: of the packages' code.
        is_asked: whether the job's own code asks for it.
    """
    found: dict[str, bytes] = {}
    if is_asked or any(_ASKS_FOR_METADATA.search(text) for text in texts.values()):
        for top, folder in sorted(tops.items()):
            for info in _infos(top, str(folder)):
                found |= {f"{info.name}/{each}": (info / each).read_bytes() for each in _METADATA if (info / each).is_file()}
    return found


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, inside, names in os.walk(folder):
        inside[:] = sorted({*inside} - _LEFT_OUT)
        for name in sorted(names):
            path = Path(place, name)
            if not name.endswith(_CODE) and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _size(files: _Files) -> int:
    return sum(path.stat().st_size for path in files.values())


def _named(files: _Files, texts: Mapping[str, bytes]) -> _Files:
    """Those whose whole names are among the package's texts."""
    tops = {name.partition("/")[0] for name in files}
    own = [text for name, text in texts.items() if name.partition("/")[0] in tops]
    named = {each for text in own for each in _literals(text)}
    return {name: path for name, path in files.items() if path.name in named}


@lru_cache(maxsize=1 << 10)
def _literals(text: bytes) -> frozenset[str]:
    nodes = ast.walk(ast.parse(text))
    found = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(each.rpartition("/")[2] for each in found)


@lru_cache(maxsize=1 << 10)
def _infos(top: str, folder: str) -> tuple[Path, ...]:
    """The folders of what was installed with a module, of that name or not."""
    plain = _plain(top)
    found = sorted(Path(folder).glob("*.dist-info"))
    same = [info for info in found if _plain(info.name.partition("-")[0]) == plain]
    return tuple(info for info in same or found if _holds(info, top))


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "_", name).lower()


@lru_cache(maxsize=1 << 12)
def _holds(info: Path, top: str) -> bool:
    record = info / "RECORD"
    text = record.read_text(encoding="utf-8", errors="replace") if record.is_file() else ""
    return any(line.startswith((f"{top}/", f"{top}.py,")) for line in text.splitlines())
