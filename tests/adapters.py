"""An adapter for tests of shaders: this machine's, or software's; without one they are skipped, with what is missing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

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


#: A second driver in software, SwiftShader: as Debian's chromium brings it, and where its package may have been unpacked.
_SECOND = ("/usr/lib/chromium/vk_swiftshader_icd.json", "/opt/chromium/usr/lib/chromium/vk_swiftshader_icd.json")


def second_driver() -> str:
    """The file of another driver than Mesa's; without one the test is skipped."""
    need_adapter()
    for file in _SECOND:
        if Path(file).is_file():
            return file
    pytest.skip("there is no second Vulkan driver: apt-get install chromium, which has SwiftShader")
