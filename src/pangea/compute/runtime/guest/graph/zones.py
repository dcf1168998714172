"""Time zones that came with the job."""

from __future__ import annotations

import io
import zoneinfo
from typing import Any

_ZONES: dict[str, bytes] = {}


def know(key: str, data: bytes) -> None:
    """Let `zoneinfo` find the zone called `key`."""
    common: Any = vars(zoneinfo)["_common"]
    if not _ZONES:
        load = common.load_tzdata
        common.load_tzdata = lambda name: io.BytesIO(_ZONES[name]) if name in _ZONES else load(name)
    _ZONES[key] = data
