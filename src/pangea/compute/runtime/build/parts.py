"""The guest before its snapshot, as data beside these sources: the metered interpreter and the library that it imports.

With these, a change of the guest's own Python needs no compiler: the snapshot is taken anew in two minutes (`make
runtime-snapshot`).
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pangea.compute.runtime.build import sources
from pangea.compute.runtime.build.nans import canonical
from pangea.compute.runtime.build.program_break import with_break
from pangea.compute.runtime.build.snapshot import snapshot

PACKAGE = Path(__file__).parents[2]
_RUNTIME = PACKAGE / "runtime"
_CORE, _LIBRARY = (_RUNTIME / "build/parts" / name for name in ("core.wasm.xz", "library.tar.xz"))
PROFILE = _RUNTIME / "build/parts/profile.profdata.xz"
#: Where the interpreter looks for the library and for the guest's own Python.
LIBRARY_FOLDER, OWN_FOLDER = "python/lib", "python/app/pangea/compute"


@dataclass(frozen=True)
class Parts:
    """The interpreter, not started, and the library by path."""

    core: bytes
    library: Mapping[str, bytes]

    @classmethod
    def kept(cls) -> Parts:
        """Those that are kept beside these sources."""
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(_LIBRARY.read_bytes()))) as archive:
            members = ((member.name, archive.extractfile(member)) for member in archive)
            library = {name: file.read() for name, file in members if file is not None}
        return cls(lzma.decompress(_CORE.read_bytes()), library)

    def keep(self) -> None:
        """Write them beside these sources."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, data in sorted(self.library.items()):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        _CORE.parent.mkdir(exist_ok=True)
        _CORE.write_bytes(packed(self.core))
        _LIBRARY.write_bytes(packed(raw.getvalue()))

    def digest(self) -> str:
        """SHA-256, in hex, of both."""
        total = hashlib.sha256(self.core)
        for name, data in sorted(self.library.items()):
            total.update(f"{name}\0{len(data)}\0".encode() + data)
        return total.hexdigest()

    def files(self) -> dict[str, bytes]:
        """What the interpreter sees: the library and the guest's own Python."""
        own = {f"{OWN_FOLDER}/{path}": text for path, text in sources.staged(PACKAGE).items()}
        return {f"{LIBRARY_FOLDER}/{name}": data for name, data in self.library.items()} | own

    def guest(self) -> bytes:
        """The finished guest."""
        return with_break(snapshot(canonical(self.core), self.files()))


def pin(parts: Parts, guest: bytes) -> str:
    """Write the guest as package data, with its hash; returns what to tell of it."""
    data = packed(guest)
    (_RUNTIME / "python-runtime.wasm.xz").write_bytes(data)
    pinned = {"sha256": _hash(guest), "bytes": len(guest), "sources": sources.digest(PACKAGE), "parts": parts.digest()}
    (_RUNTIME / "python-runtime.json").write_text(json.dumps(pinned, indent=1) + "\n")
    return f"python-runtime.wasm: {len(guest):,} bytes, {len(data):,} packed, sha256 {pinned['sha256']}"


def difference(parts: Parts, guest: bytes) -> str | None:
    """In what a build differs from what is pinned, or None."""
    pinned = json.loads((_RUNTIME / "python-runtime.json").read_text())
    if parts.digest() != pinned["parts"]:
        return f"the interpreter or its library: {parts.digest()} is built, {pinned['parts']} is pinned"
    if _hash(guest) != pinned["sha256"]:
        return f"the snapshot: {_hash(guest)} is built, {pinned['sha256']} is pinned"
    return None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(data: bytes) -> bytes:
    """`data` as xz; higher presets take twice as long for a hundredth less."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 7, "dict_size": 1 << 26}]
    return lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters)
