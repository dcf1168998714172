"""What pages load: scripts and styles that come with this package, others' as their makers published them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from pangea.compute.pictures.runs.sheet import style

#: SHA-256 of what others wrote, as `sha256sum` writes it.
SUMS = "SHA256SUMS"
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
#: The style sheet of drawings, which is made from their colours.
_DRAWINGS = "drawings.css"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load; `tag` is its version (RFC 9110, 8.8.3)."""

    data: bytes
    kind: str
    tag: str


@cache
def asset(name: str) -> Asset | None:
    """The file of that name; None if there is none."""
    kind = _KINDS.get(name.rpartition(".")[2])
    place = files(__package__) / "assets" / name
    if name == _DRAWINGS:
        data = style().encode()
    elif kind is not None and "/" not in name and place.is_file():
        data = place.read_bytes()
    else:
        return None
    return Asset(data, str(kind), f'"{sha256(data).hexdigest()[:20]}"')
