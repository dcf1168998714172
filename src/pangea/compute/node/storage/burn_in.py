"""When this machine last passed its own test (`pangea doctor --burn-in`): a node says so when it joins."""

from __future__ import annotations

import os
import time
from pathlib import Path

_FILE = "burn-in"
#: Longer ago than this is as good as never.
AGE_SECONDS_MAX = 2**31 - 1


def note_burn_in(data_dir: Path) -> None:
    """Note in a node's data directory that the machine has passed its test, now."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / _FILE
    path.touch(mode=0o600)
    os.utime(path)


def burn_in_age(data_dir: Path) -> int:
    """Seconds since the machine passed its test; -1 if it never did."""
    try:
        age = time.time() - (data_dir / _FILE).stat().st_mtime
    except OSError:
        return -1
    return min(AGE_SECONDS_MAX, max(0, int(age)))
