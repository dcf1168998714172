"""An adapter for tests of shaders: this machine's, or software's; without one they are skipped, with what is missing."""

from __future__ import annotations

from functools import cache

import pytest

from pangea.compute.engine.gpu_process import GpuProcess
from pangea.compute.model.errors import NoAdapterError


@cache
def _missing() -> str:
    try:
        GpuProcess("auto").close()
    except NoAdapterError as error:
        return f"{error.message} ({error.hint})"
    return ""


def need_adapter() -> None:
    """Skip the test where there is no adapter."""
    if missing := _missing():
        pytest.skip(missing)
