"""The folders of a user whom the system may not know, and cache folders that are shared with others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs
import pytest

from pangea.compute.client.submission.node_link import find_node
from pangea.compute.engine import places
from pangea.compute.engine.cache import open_folder
from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.node.config import config_files, load


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and no entry in passwd."""

    def nowhere(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("user_cache_path", "user_data_path", "user_config_path"):
        monkeypatch.setattr(platformdirs, name, nowhere)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    for name in ("PANGEA_CACHE_DIR", "PANGEA_DATA_DIR", "PANGEA_NODE", "PANGEA_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("mode", [0o2775, 0o1777, 0o755, 0o700])
def test_a_folder_that_is_given_keeps_its_mode_and_gets_one_of_ours(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    monkeypatch.setenv("PANGEA_CACHE_DIR", str(shared))
    folder = open_folder()
    assert stat.S_IMODE(shared.stat().st_mode) == mode
    assert (folder.parent, stat.S_IMODE(folder.stat().st_mode) & 0o777) == (shared, 0o700)
    assert open_folder() == folder


def test_a_folder_that_isn_t_there_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANGEA_CACHE_DIR", str(tmp_path / "a" / "b"))
    assert open_folder().is_relative_to(tmp_path / "a" / "b")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away: run as root")
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_somebody_else_has_put_there_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANGEA_CACHE_DIR", str(tmp_path))
    place, ours = places.cache_folder(), tmp_path / "ours"
    ours.mkdir(mode=0o755)
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(ours)
    os.chown(place, 54321, 54321, follow_symlinks=False)
    with pytest.raises(UnavailableError, match="belongs to user 54321") as caught:
        open_folder()
    assert "PANGEA_CACHE_DIR" in (caught.value.hint or "")
    assert stat.S_IMODE(ours.stat().st_mode) == 0o755


@pytest.mark.usefixtures("homeless")
def test_who_has_no_home_gets_a_cache_among_the_temporary_files() -> None:
    assert places.cache_folder().name == f"pangea-compute-{os.getuid()}"


@pytest.mark.usefixtures("homeless")
def test_who_has_no_home_is_told_what_to_set_for_a_node(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no home folder") as caught:
        load({}, environ={})
    assert "PANGEA_DATA_DIR" in (caught.value.hint or "")
    assert config_files({}) == [Path("pangea.toml"), Path("/etc/pangea/config.toml")]
    with pytest.raises(ConfigError, match="no node is given"):
        find_node(None)
    with pytest.raises(ConfigError, match="data_dir is '~/x'"):
        load({"data_dir": "~/x"}, environ={})
