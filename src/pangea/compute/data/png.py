"""Write a picture as PNG.

Source: PNG specification, third edition: chunks, filter type 0, 8 bits per sample.
"""

from __future__ import annotations

import zlib
from typing import Any

from pangea.compute.data.errors import DataError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
#: Colour types by samples per pixel: grey, grey with alpha, RGB, RGB with alpha.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def png_of(pixels: Any) -> bytes:
    """The bytes of a PNG file.

    Args:
        pixels: NumPy's array of uint8, of shape (height, width) for grey, or (height, width, samples) with 1 to 4 samples: grey,
            grey and alpha, RGB, RGB and alpha.

    Raises:
        DataError: it has another type or shape, or no pixels.
    """
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != "u1" or pixels.ndim not in (2, 3) or samples not in _COLOUR_TYPES or not pixels.size:
        raise DataError(
            "a picture is an array of uint8 with shape (height, width) or (height, width, 1 to 4),"
            f" not {pixels.dtype} {pixels.shape}"
        )
    height, width = pixels.shape[:2]
    data, stride = pixels.tobytes(), width * samples
    lines = b"".join([part for row in range(height) for part in (b"\0", data[row * stride : (row + 1) * stride])])
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, _COLOUR_TYPES[samples], 0, 0, 0))
    return PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 6)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
