"""The script of pages: Vega, Vega-Lite and vega-embed from inside vl-convert, kept on disk, as making it takes a second.

It lies beside the compiled modules, in a folder that is the user's alone, with its SHA-256 in front; what doesn't fit that
is made again.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from pangea.compute.engine.cache import open_folder
from pangea.compute.engine.files import new_file
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.libraries import need


@cache
def vega() -> str:
    """JavaScript that defines `window.vegaEmbed`; asks the network for nothing.

    Raises:
        UnavailableError: vl-convert is missing.
    """
    converter = need("vl_convert", "a picture")
    try:
        folder = open_folder()
    except UnavailableError:  # no place to keep it: then it is made each time
        return _made(converter)
    return kept(folder / f"vega-{converter.__version__}.js", converter)


def kept(path: Path, converter: Any) -> str:
    """The script from the file, or made and written there."""
    try:
        digest, _, data = path.read_bytes().partition(b"\n")
    except OSError:
        digest, data = b"", b""
    if digest == _digest(data):
        return data.decode()
    script = _made(converter)
    try:
        with new_file(path, 0o600) as file:
            file.write(_digest(script.encode()) + b"\n" + script.encode())
    except OSError:  # a full disk: the page is as good
        return script
    return script


def _made(converter: Any) -> str:
    script: str = converter.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
