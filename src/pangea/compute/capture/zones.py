"""Time zones: a job has no files, so the data of those that it uses travel, as this machine has them."""

from __future__ import annotations

import importlib.resources
import os
import re
import zoneinfo
from collections.abc import Iterable

_KEY = re.compile(r"[A-Za-z][\w+-]*(/[A-Za-z][\w+-]*)*")


def zone_data(key: str) -> bytes | None:
    """The data (TZif) of the zone called `key`; None if there is none."""
    for folder in zoneinfo.TZPATH:
        path = os.path.join(folder, key)  # noqa: PTH118
        if os.path.isfile(path):  # noqa: PTH113
            with open(path, "rb") as file:
                return file.read()
    try:
        package, _, name = f"tzdata/zoneinfo/{key}".rpartition("/")
        return importlib.resources.files(package.replace("/", ".")).joinpath(name).read_bytes()
    except (ImportError, OSError):
        return None


def zones_among(texts: Iterable[object]) -> dict[str, bytes]:
    """The data of those of `texts` that are the names of zones."""
    keys = sorted(each for each in texts if isinstance(each, str) and _KEY.fullmatch(each))
    found = {key: zone_data(key) for key in keys}
    return {key: data for key, data in found.items() if data is not None and data[:4] == b"TZif"}
