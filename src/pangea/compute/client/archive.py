"""Write a job archive: a zip with `job.json`, `job.py` and `lib/`. Equal jobs give equal bytes.

The pieces of the job become fragments of `job.py`, in an order in which each finds what it uses when it is defined: imports,
then values, then definitions as in the user's text, but bases, decorators and defaults before what needs them. `runtime.guest.
loading` is the reader.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from pangea.compute.client.extraction import Extractor, Piece
from pangea.compute.client.kinds import BYTES, Kinds
from pangea.compute.client.packages import ARCHIVE_BYTES_MAX, too_large
from pangea.compute.client.sources import SourceText, display_name, is_cell
from pangea.compute.runtime import sha256

ABI = 1
#: The file name in tracebacks of lines that aren't the user's: imports and values.
_MADE_FILE = "<captured>"
#: The earliest time a zip can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_ROLES = ("split", "execute", "merge")


def build_archive(functions: Mapping[str, Any], scope: Mapping[str, Any], kinds: Mapping[str, Kinds]) -> bytes:
    """The archive of a job.

    Args:
        functions: role to function; execute is there.
        scope: local names around the functions.
        kinds: what each takes and returns. If that is bytes throughout, the archive says nothing of it.

    Raises:
        JobDefinitionError: something that the functions use can't travel.
    """
    extractor = Extractor(functions["execute"], scope)
    entry = {role: extractor.add_function(role, functions[role]) for role in _ROLES if role in functions}
    text, fragments = _write_fragments(_in_order(extractor.pieces))
    description = {
        "abi": ABI,
        "kind": "python",
        "runtime": sha256(),
        "module": extractor.module,
        "entry": entry,
        "fragments": fragments,
    }
    if any(each != BYTES for each in kinds.values()):
        description["kinds"] = {role: list(kinds[role]) for role in entry}
    files = {"job.json": json.dumps(description, indent=1, ensure_ascii=False).encode() + b"\n", "job.py": text.encode()}
    files |= {f"lib/{name}": content for name, content in extractor.packages.files.items()}
    return _zip(files)


def _zip(files: Mapping[str, bytes]) -> bytes:
    if (size := sum(map(len, files.values()))) > ARCHIVE_BYTES_MAX:
        raise too_large(size, "together")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            about = zipfile.ZipInfo(name, _EPOCH)
            about.create_system = 3
            about.external_attr = _REGULAR_FILE
            archive.writestr(about, files[name])
    return buffer.getvalue()


def _in_order(pieces: Mapping[str, Piece]) -> list[Piece]:
    """Imports, values, definitions; what a piece uses when it runs, and all that this uses in turn, before it."""
    sources: dict[SourceText, int] = {}
    for piece in pieces.values():
        if piece.source is not None:
            sources.setdefault(piece.source, len(sources))
    ranks = {
        name: (not piece.is_import, piece.source is not None, sources[piece.source] if piece.source else 0, piece.line, name)
        for name, piece in pieces.items()
    }
    ordered: list[Piece] = []
    begun: set[str] = set()

    def place(name: str) -> None:
        if name in begun:
            return
        begun.add(name)
        for needed in sorted(_all_uses(pieces, pieces[name].before), key=ranks.__getitem__):
            place(needed)
        ordered.append(pieces[name])

    for name in sorted(pieces, key=ranks.__getitem__):
        place(name)
    return ordered


def _all_uses(pieces: Mapping[str, Piece], names: set[str]) -> set[str]:
    found: set[str] = set()
    pending = [name for name in names if name in pieces]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [used for used in pieces[name].before | pieces[name].after if used in pieces]
    return found


def _write_fragments(pieces: list[Piece]) -> tuple[str, list[dict[str, Any]]]:
    """The text of `job.py`, and for each run of its lines where they are from."""
    names = _file_names(pieces)
    parts, line, fragments = [], 1, []
    for body, piece in _runs(pieces):
        if piece.source is None:
            file, origin = _MADE_FILE, line
        else:
            file, origin = names[piece.source], piece.line
            parts.append(f"# {file}, line {origin}\n")
            line += 1
        count = _line_count(body)
        fragments.append({"line": line, "count": count, "file": file, "origin": origin, "indented": piece.is_indented})
        parts.append(f"{body}\n")
        line += count + 1
    return "".join(parts), fragments


def _runs(pieces: list[Piece]) -> Iterator[tuple[str, Piece]]:
    """Each definition by itself; neighbouring lines that were made here together."""
    made: list[Piece] = []
    for piece in pieces:
        if piece.source is None:
            made.append(piece)
            continue
        if made:
            yield "".join(one.text for one in made), made[0]
            made = []
        yield piece.text, piece
    if made:
        yield "".join(one.text for one in made), made[0]


def _file_names(pieces: list[Piece]) -> dict[SourceText, str]:
    """A name for each source that doesn't change from run to run: cells are numbered as they come."""
    names: dict[SourceText, str] = {}
    cells = 0
    for piece in pieces:
        if piece.source is not None and piece.source not in names:
            cells += (numbered := is_cell(piece.source.file))
            names[piece.source] = f"<cell {cells}>" if numbered else display_name(piece.source.file)
    return names


def _line_count(text: str) -> int:
    """How many lines the guest sees: it splits at form feeds and Unicode's line ends, too."""
    return len(text.splitlines())
