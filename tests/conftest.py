"""Shared by all tests: one warm engine, a module cache of the worker's own, who runs beside whom, and what may be left."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer

from pangea.compute import runtime
from pangea.compute.client.submission import link
from pangea.compute.engine.cache import ModuleCache, open_folder
from pangea.compute.engine.engines import embedded
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.sandbox import profile_id
from pangea.compute.model.limits import Limits
from pangea.compute.network.peers import connection
from tests.deadlines import until, untimed
from tests.examples import EXAMPLES
from tests.hosts import available
from tests.leaks import Held
from tests.nursery import nursery
from tests.sharing import WholeFiles, is_for_another, rank, rooms

# The default tests draw the same few examples each time, so a change is judged by what it changes; `make test-all` draws others.
settings.register_profile("repository", deadline=None, derandomize=True, max_examples=EXAMPLES)
settings.register_profile("search", deadline=None)
settings.load_profile("repository")

_WITHOUT_LEAKS = {"e2e", "integration"}
_LEAK_SECONDS = 30.0
#: Tests of real processes and sockets, which a busy machine can hold up: a failure is tried once more and named (RERUN).
_TRIED_AGAIN = {"e2e", "hostile", "integration"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeFiles:
    """Workers get whole files."""
    return WholeFiles(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Where nothing is compiled yet, workers needn't all do the same at the same time."""
    session.config.args = rooms(session.config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't import what other workers are to run."""
    return True if is_for_another(collection_path, config) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow files come first; within a file nothing changes its place. `--reruns 0` has all tests pass at once or fail."""
    items.sort(key=lambda each: rank(each.path))
    for each in items:
        if each.path.parent.name in _TRIED_AGAIN and config.getoption("reruns") is None:
            each.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have the collector leave alone what tests are made of, and look seldom.

    A worker has a million objects once it has imported its files. With Python's own thresholds (700, 10, 10) a sixth of a run's
    time went into looking through them for cycles that are none. What is left of a test is found later, or by `gc.collect()`
    in the few tests that are about it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests have recorded as their summary: what a worker prints itself is lost."""
    for report in terminalreporter.getreports("passed"):
        for name, said in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(str(said))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A time limit ends a test, never the making of its report: there it would be an internal error, which ends the run."""
    with untimed():
        return (yield)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the Python runtime before any test's time runs: a busy machine needs minutes for it."""
    if not session.config.option.collectonly:
        _compile_runtime(open_folder())


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A module cache for this worker; only the compiled Python runtime (20 s of work) is shared with the user's own."""
    embedded.AT_ONCE = None  # what a test leaves is told by what there was before
    kept = open_folder()
    before = os.environ.get("PANGEA_CACHE_DIR")
    os.environ["PANGEA_CACHE_DIR"] = str(tmp_path_factory.mktemp("modules"))
    folder = open_folder()
    for file in kept.glob(f"{runtime.sha256()}-*"):
        shutil.copy2(file, folder / file.name)  # a worker may read this folder's files only
    yield folder
    embedded.close()
    if before is None:
        del os.environ["PANGEA_CACHE_DIR"]
    else:
        os.environ["PANGEA_CACHE_DIR"] = before


def _compile_runtime(folder: Path) -> None:
    """Have it in the user's cache, where nodes that tests start look for it; whoever comes meanwhile waits and finds it."""
    with closing(ModuleCache(folder, profile_id())) as cache:
        if cache.get(runtime.sha256(), Limits()) is not None:
            return
    with open(folder / "tests.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = LocalEngine(workers=1, cache_folder=folder)
        try:
            engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
        finally:
            engine.close()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test of real processes leaves no descriptor, thread, process or shared memory; the engine of all tests stays."""
    if request.path.parent.name not in _WITHOUT_LEAKS:
        yield
        return
    request.getfixturevalue("engine")
    folder = request.getfixturevalue("cache_folder")
    links = link.thread()  # one for this process, and no test's
    resource_tracker.ensure_running()  # multiprocessing's, likewise
    nursery()
    before = Held.now(folder)
    yield
    links.start(connection.close_all()).result(_LEAK_SECONDS)
    try:
        until(lambda: not Held.now(folder).beyond(before), seconds=_LEAK_SECONDS)
    except AssertionError:
        pytest.fail(f"left behind: {'; '.join(Held.now(folder).beyond(before))}", pytrace=False)


@pytest.fixture
def need_hosts() -> None:
    """Skip the test where there can be no hosts of their own. It takes a second to find out, so collecting doesn't."""
    if missing := available():
        pytest.skip(missing)


@pytest.fixture
def engine(cache_folder: Path) -> LocalEngine:
    """The warm engine that `submit_job` uses, too."""
    return embedded.engine()[0]


@pytest.fixture
def python(engine: LocalEngine) -> LocalEngine:
    """The warm engine with the Python runtime prepared."""
    engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
    return engine
