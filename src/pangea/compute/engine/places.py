"""The folders of this user, of whom the system may know neither a home nor a name, as in a container."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

_APP = "pangea-compute"


def cache_folder() -> Path:
    """Where compiled modules are kept: a folder of this user's own, also inside one that PANGEA_CACHE_DIR shares with others.

    Who has no home gets one among the temporary files.
    """
    if given := os.environ.get("PANGEA_CACHE_DIR"):
        return Path(given) / _own_name()
    try:
        return platformdirs.user_cache_path(_APP)
    except RuntimeError:
        return Path(tempfile.gettempdir()) / _own_name()


def data_folder() -> Path | None:
    """Where a node of this user's keeps its data unless told otherwise; None: there is no home."""
    try:
        return platformdirs.user_data_path(_APP)
    except RuntimeError:
        return None


def config_folder() -> Path | None:
    """Where this user's configuration is; None: there is no home."""
    try:
        return platformdirs.user_config_path(_APP)
    except RuntimeError:
        return None


def _own_name() -> str:
    return f"{_APP}-{os.getuid()}"
