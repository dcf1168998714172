"""Small files that somebody names: whatever they are, they are read or refused, by name and at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pangea.compute.client.submission.target import load_target
from pangea.compute.model.errors import ConfigError, PangeaError, UnavailableError
from pangea.compute.network.identity import Identity
from pangea.compute.network.small_files import read_small
from pangea.compute.node.config import load

pytestmark = pytest.mark.timeout(30)


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/cwd/{path.name}")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (os.mkfifo, "it is a named pipe, not a file"),
    "socket": (_socket, "no such device or address"),
    "device": (_device, "it is a device, not a file"),
    "folder": (lambda path: path.mkdir(), "is a directory"),
    "loop": (lambda path: path.symlink_to(path.name), "too many levels of symbolic links"),
    "sparse": (_sparse, "it has more than"),
}


@pytest.fixture(params=KINDS)
def special(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """What is no small file, and what is said of it."""
    monkeypatch.chdir(tmp_path)
    make, said = KINDS[request.param]
    path = tmp_path / "pangea.toml"
    make(path)
    return path, said


def test_a_small_file_is_read_and_one_byte_more_is_too_much(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 << 20))
    assert read_small(path, 3 << 20) == bytes(3 << 20)
    with pytest.raises(OSError, match="it has more than 3"):
        read_small(path, (3 << 20) - 1)
    assert read_small(Path("/proc/self/stat"), 1 << 16), "its size is said to be 0"
    with pytest.raises(OSError, match="it has more than"):
        read_small(Path("/dev/zero"), 1 << 20, is_stream_fine=True)


def test_a_key_that_is_none_is_refused(special: tuple[Path, str]) -> None:
    path, said = special
    with pytest.raises(UnavailableError, match=f"the key {path} can't be used: {said}"):
        Identity.load_or_create(path)


def test_so_are_settings_that_are_none(special: tuple[Path, str]) -> None:
    path, said = special
    with pytest.raises(ConfigError, match=f"the configuration file {path.name} can't be read: {said}"):
        load({}, environ={})


@pytest.mark.parametrize("name", ["job.py", "job.wasm"])
def test_so_is_a_job_without_an_end(tmp_path: Path, name: str) -> None:
    _device(tmp_path / name)
    with pytest.raises(PangeaError, match="it has more than 64"):
        load_target(str(tmp_path / name), None)
