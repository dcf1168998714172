"""A guest's memory is put back to its image, whatever was written to it and whatever the hints say."""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.engine import image as images
from pangea.compute.engine.image import MemoryImage, page_faults

PAGE = mmap.PAGESIZE
#: Of the image, and of memory that isn't taken behind it.
PAGES, BEHIND = 96, 32
FUNCTIONS = ("split", "execute")


class Memory:
    """Memory with an image of itself, and what a sandbox tells of its use."""

    def __init__(self) -> None:
        self._mapping = mmap.mmap(-1, (PAGES + BEHIND) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._mapping[: PAGES * PAGE] = Random(1).randbytes(PAGES * PAGE)
        self.original = self._mapping[:]
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self._mapping))
        descriptor = os.memfd_create("image")
        os.ftruncate(descriptor, PAGES * PAGE)
        self.image = MemoryImage(self.base, PAGES * PAGE, (PAGES + BEHIND) * PAGE, descriptor, FUNCTIONS)
        os.close(descriptor)
        self.image.begin("execute")
        self.marks = 0

    @contextmanager
    def marked(self) -> Iterator[None]:
        self.marks += 1
        self.image.mark()
        yield
        self.image.unmark()

    def call(self, pages: list[tuple[int, bytes]]) -> None:
        """Write like a guest: nobody is told where, only the faults are counted."""
        faults = page_faults()
        for page, content in pages:
            ctypes.memmove(self.base + page * PAGE, content, len(content))
        self.image.calls_faulted(page_faults() - faults)

    def fill(self, start: int, content: bytes) -> None:
        """Write like the host."""
        self.image.filled(start, len(content))
        ctypes.memmove(self.base + start, content, len(content))

    def put_back(self, taken: int = PAGES, function: str = "execute") -> None:
        """As a sandbox does, when so many pages are taken and a pack of the function comes next."""
        self.image.restore(taken * PAGE, self.marked)
        self.image.begin(function)

    def content(self) -> bytes:
        return ctypes.string_at(self.base, (PAGES + BEHIND) * PAGE)


contents = st.sampled_from([b"", b"a", b"\0" * 9, b"b" * PAGE])
writes = st.lists(st.tuples(st.integers(0, PAGES + BEHIND - 1), contents), max_size=12)
fills = st.lists(st.tuples(st.integers(0, (PAGES + BEHIND - 2) * PAGE), contents), max_size=3)


takings = st.integers(PAGES, PAGES + BEHIND)
packings = st.lists(st.tuples(writes, fills, takings, st.sampled_from(FUNCTIONS)), min_size=1, max_size=8)


@given(
    packs=packings,
    most=st.sampled_from([0, 5, 1024]),
    strange=st.sampled_from([0, 3, 256]),
    cleared=st.sampled_from([0, 3 * PAGE, BEHIND * PAGE]),
)
def test_whatever_packs_write_the_memory_is_its_image_afterwards(
    packs: list[tuple[list[tuple[int, bytes]], list[tuple[int, bytes]], int, str]], most: int, strange: int, cleared: int
) -> None:
    memory = Memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "_COPIED_PAGES_MAX", most)
        patch.setattr(images, "_STRANGE_PAGES_MAX", strange)
        patch.setattr(images, "_CLEARED_BYTES_MAX", cleared)
        for called, filled, taken, function in packs:
            for start, content in filled:
                memory.fill(start, content)
            memory.call(called)
            memory.put_back(taken, function)
            assert memory.content() == memory.original
    memory.image.close()


def test_much_that_one_function_writes_is_not_copied_for_another_and_found_when_that_writes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_STRANGE_PAGES_MAX", 5)
    memory = Memory()
    memory.put_back(function="split")
    memory.call([(page, b"x") for page in range(0, 80, 8)])
    memory.put_back(function="split")
    assert len(memory.image._copies) == 10
    memory.put_back(function="execute")
    assert memory.image._copies == []
    memory.call([(8, b"y")])
    memory.put_back(function="execute")
    assert memory.content() == memory.original
    assert len(memory.image._copies) == 1
    memory.put_back(function="split")
    memory.call([(page, b"z") for page in range(0, 80, 8)])
    memory.put_back(function="execute")
    assert memory.content() == memory.original
    assert len(memory.image._copies) == 1, "by the hints"


def test_functions_that_write_little_in_turns_need_no_look_each_time() -> None:
    memory = Memory()
    for _ in range(10):
        for function, page in (("split", 3), ("execute", 50)):
            memory.put_back(function=function)
            memory.call([(page, b"x")])
    assert memory.marks <= 3


def test_a_page_that_was_only_copied_along_for_one_function_is_found_when_another_writes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_STRANGE_PAGES_MAX", 0)
    memory = Memory()
    for function, pages in (("execute", [3, 40]), ("split", [3, 5]), ("execute", [3, 40])):
        for _ in range(3):
            memory.put_back(function=function)
            memory.call([(page, b"x") for page in pages])
    memory.put_back(function="execute")
    memory.call([(4, b"between")])
    memory.put_back(function="execute")
    assert memory.content() == memory.original


def test_what_the_host_has_filled_for_one_function_is_put_back_for_another() -> None:
    memory = Memory()
    for function in ("execute", "split", "split"):
        memory.put_back(function=function)
    memory.fill(60 * PAGE, b"x")
    memory.put_back(function="execute")
    assert memory.content() == memory.original


def test_memory_that_the_kernel_takes_none_of_back_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, draw = Memory(), Random(1)
    monkeypatch.setattr(images._libc, "madvise", lambda *_: -1)
    monkeypatch.setattr(images, "_STRANGE_PAGES_MAX", 0)
    for _ in range(30):
        memory.call([(draw.randrange(4), b"x")])
        memory.put_back(function=draw.choice(FUNCTIONS))
        assert memory.content() == memory.original


def test_a_page_written_with_what_it_had_is_found_too_and_its_next_write_needs_no_fault() -> None:
    memory = Memory()
    memory.call([(7, memory.original[7 * PAGE : 7 * PAGE + 9])])
    memory.put_back()
    faults = page_faults()
    memory.call([(7, b"changed")])
    assert page_faults() - faults < 2, "the page is ours already"
    memory.put_back()
    assert memory.content() == memory.original


def test_once_the_written_pages_are_known_nothing_has_to_be_looked_for() -> None:
    memory = Memory()
    for _ in range(20):
        memory.call([(page, b"x" * 100) for page in (3, 4, 50)])
        memory.put_back()
        assert memory.content() == memory.original
    assert 1 <= memory.marks <= 3


@pytest.mark.parametrize("hint", [b"\0", b"\x01", b"\xff"])
def test_whatever_another_process_has_hinted_the_memory_is_its_image(hint: bytes) -> None:
    memory = Memory()
    for hints in memory.image._hints.values():
        hints[:] = hint * PAGES
    for page in (1, 2, 90):
        memory.call([(page, b"changed")])
        memory.put_back()
        assert memory.content() == memory.original


def test_a_forked_process_can_change_neither_the_image_nor_the_file_behind_it() -> None:
    memory = Memory()
    for at in (memory.image._file, memory.image._image):
        child = os.fork()
        if child == 0:
            faulthandler.disable()
            ctypes.memmove(at, b"poison", 6)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0, "killed by the signal of an access that isn't allowed"
    memory.put_back()
    assert memory.content() == memory.original


def test_a_closed_image_gives_its_own_mappings_back() -> None:
    def mappings() -> int:
        return Path("/proc/self/maps").read_text().count("memfd:image")

    before = mappings()
    memory = Memory()
    assert mappings() == before + 3
    memory.image.close()
    assert mappings() == before + 1, "the memory itself"


def test_what_is_written_behind_what_is_taken_is_dropped_though_nothing_faulted() -> None:
    memory = Memory()
    place = (PAGES + 5) * PAGE
    memory.call([(PAGES + 5, b"x")])
    memory.put_back(taken=PAGES + 10)  # so that the page stays, with zeros
    ctypes.memmove(memory.base + place, b"guest", 5)
    memory.put_back(taken=PAGES)
    assert memory.content() == memory.original
    memory.fill(place, b"host")
    memory.put_back(taken=PAGES)
    assert memory.content() == memory.original
