"""What the shell allows against what is needed: told with both figures before anything is started."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pangea.compute.engine import cache, jail, ulimits
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import GIB, MIB

ANY = resource.RLIM_INFINITY
Allow = Callable[..., dict[int, tuple[int, int]]]


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Allow:
    """Stand in for the kernel: limits by name, as (soft, hard); returns them, to be looked at later."""

    def allowing(**given: tuple[int, int]) -> dict[int, tuple[int, int]]:
        limits = {getattr(resource, f"RLIMIT_{name}"): pair for name, pair in given.items()}
        monkeypatch.setattr(resource, "getrlimit", lambda which: limits.get(which, (ANY, ANY)))
        monkeypatch.setattr(resource, "setrlimit", lambda which, pair: limits.update({which: pair}))
        return limits

    return allowing


def test_open_files_that_don_t_suffice_are_told_with_the_figure_that_would(allow: Allow) -> None:
    allow(NOFILE=(20, 20))
    with pytest.raises(UnavailableError, match=r"8 worker processes need \d\d open files; .* have 20 \(ulimit -n\)"):
        ulimits.check_files(8)


def test_open_files_are_raised_as_far_as_need_be(allow: Allow) -> None:
    limits = allow(NOFILE=(20, 4096))
    ulimits.check_files(8)
    soft, hard = limits[resource.RLIMIT_NOFILE]
    assert (72 <= soft < 256, hard) == (True, 4096)
    limits = allow(NOFILE=(1024, 4096))
    ulimits.check_files(2)
    assert limits[resource.RLIMIT_NOFILE] == (1024, 4096)


def test_open_files_are_counted_where_none_is_left_to_list_them_with(allow: Allow, monkeypatch: pytest.MonkeyPatch) -> None:
    def need() -> str:
        allow(NOFILE=(20, 20))
        with pytest.raises(UnavailableError) as error:
            ulimits.check_files(8)
        return error.value.message

    def iterdir(path: Path) -> Iterator[Path]:
        asked.append(path)
        raise OSError(errno.EMFILE, "Too many open files")

    listed, asked = need(), list[Path]()
    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert need() == listed
    assert asked


def test_address_space_that_doesn_t_suffice_is_told_with_the_figure_that_would(allow: Allow) -> None:
    allow(NOFILE=(1024, 1024), AS=(GIB, ANY))
    with pytest.raises(UnavailableError, match=r"needs 4.5 GiB of address space; this process may have 1.0 GiB \(ulimit -v\)"):
        ulimits.check_space()
    allow(NOFILE=(1024, 1024), AS=(5 * GIB, ANY))
    ulimits.check_space()


def test_files_that_may_not_be_large_enough_are_told_with_the_figure_that_would(allow: Allow) -> None:
    allow(FSIZE=(MIB, ANY))
    with pytest.raises(UnavailableError, match=r"of up to 256 MiB; this process may make files of 1.0 MiB \(ulimit -f\)"):
        ulimits.check_space()
    allow(FSIZE=(256 * MIB, ANY))
    ulimits.check_space()


def test_what_the_shell_forbids_a_compilation_says_nothing_of_the_module(allow: Allow) -> None:
    limits = Limits()
    allow(CPU=(3, 3), DATA=(ANY, 100 * MIB))
    with pytest.raises(UnavailableError, match=r"may take \d+ s of CPU time, and this process allows 3 s \(ulimit -t\)"):
        cache._check_cpu(limits)
    with pytest.raises(UnavailableError, match=r"may take 2.0 GiB, and this process allows 100 MiB \(ulimit -d, ulimit -v\)"):
        cache._check_memory(limits)
    allow(CPU=(10**6, 10**6), AS=(ANY, 3 * GIB))
    cache._check_cpu(limits)
    cache._check_memory(limits)


def test_a_jail_keeps_a_limit_that_is_lower_already(allow: Allow) -> None:
    limits = allow(NOFILE=(32, 32), DATA=(ANY, 100 * MIB), CPU=(ANY, 20))
    jail._limit(resource.RLIMIT_NOFILE, 64)
    jail.limit_data(256 * MIB)
    jail.limit_cpu(30)
    assert limits[resource.RLIMIT_NOFILE] == (32, 32)
    assert limits[resource.RLIMIT_DATA] == (100 * MIB, 100 * MIB)
    assert limits[resource.RLIMIT_CPU] == (19, 20), "the task hears of it before the kernel kills it"
    limits = allow()
    jail.limit_cpu(30)
    assert limits[resource.RLIMIT_CPU] == (35, ANY), "the next task of the process may move it"
    jail.limit_cpu(60)
    assert limits[resource.RLIMIT_CPU] == (65, ANY)
