"""What memory large content is read into."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from pangea.compute.model.units import MIB
from pangea.compute.node.storage import contents as room


def test_a_large_room_is_given_in_huge_pages() -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("huge pages are off: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
    size = 64 * MIB
    found = room.room_for(size)
    assert "hg" in flags_at(ctypes.addressof(ctypes.c_char.from_buffer(found))), (
        "small pages cost more than to hash what comes into them"
    )


def flags_at(address: int) -> list[str]:
    """The flags of this process's mapping at an address, as proc(5) has them; `hg`: huge pages are asked for, if any are free."""
    is_it = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match("([0-9a-f]+)-([0-9a-f]+) ", line):
            is_it = int(found[1], 16) <= address < int(found[2], 16)
        elif is_it and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError(f"nothing is mapped at {address:#x}")
