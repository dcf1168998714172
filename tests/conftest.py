"""Shared by all tests: one warm engine, a module cache of the session's own, and the profile for Hypothesis."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pangea.compute import runtime
from pangea.compute.client import embedded
from pangea.compute.engine.cache import default_folder
from pangea.compute.engine.engine import Engine
from pangea.compute.model.limits import Limits

settings.register_profile("repository", deadline=None)
settings.load_profile("repository")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A module cache for this session; only the compiled Python runtime (10 s of work) is shared with the user's own."""
    kept = default_folder()
    folder = tmp_path_factory.mktemp("modules")
    for file in kept.glob(f"{runtime.sha256()}-*"):
        shutil.copy2(file, folder / file.name)  # a worker may read this folder's files only
    before = os.environ.get("PANGEA_CACHE_DIR")
    os.environ["PANGEA_CACHE_DIR"] = str(folder)
    yield folder
    embedded.close()
    if before is None:
        del os.environ["PANGEA_CACHE_DIR"]
    else:
        os.environ["PANGEA_CACHE_DIR"] = before
    for file in sorted(folder.glob(f"{runtime.sha256()}-*")):  # compiled in this session: the next one needn't
        if not (kept / file.name).exists():
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(file, kept / f"moving-{file.name}")
            (kept / f"moving-{file.name}").rename(kept / file.name)


@pytest.fixture
def engine(cache_folder: Path) -> Engine:
    """The warm engine that `submit_job` uses, too."""
    return embedded.engine()[0]


@pytest.fixture
def python(engine: Engine) -> Engine:
    """The warm engine with the Python runtime prepared."""
    engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
    return engine
