"""The node's process: open what is on disk, start the engine, serve until told to stop, and leave everything in order."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random

from pangea.compute.engine import ulimits
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.engines.connecting import engine_of
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.launch import reap_inherited
from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.network import telemetry
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import CONTENT_NAME, LOCK_NAME, SOCKET_NAME, NodeAddress
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.content import serve_content
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.service import Caller
from pangea.compute.network.serving.server import serve_tcp, serve_unix
from pangea.compute.node import logs
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.service import garbage
from pangea.compute.node.service.http import HealthServer
from pangea.compute.node.service.metrics import Metrics
from pangea.compute.node.service.monitor import Monitor
from pangea.compute.node.service.node import Node
from pangea.compute.node.service.service import Session
from pangea.compute.node.storage import memory
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.crash import crash_point
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.tree.advertiser import advertising
from pangea.compute.node.tree.joining import Joining

KEY_NAME = "identity.key"
_JOURNAL, _BLOBS = "journal.sqlite", "blobs"
#: The engine's threads and the journal's take the interpreter for microseconds at a time: the event loop needn't wait for 5 ms.
_SWITCH_SECONDS = 0.0005
#: A loop that hasn't come round for so long isn't well.
_SILENCE_SECONDS = 1.0
_CANCEL_SECONDS = 0.2


#: What is done to a node that is built, and not yet at work.
Alter = Callable[[Node], None]


def _unaltered(_node: Node) -> None:
    """Leave a node as it is."""


def run(config: NodeConfig, *, alter: Alter = _unaltered, on_ready: Callable[[str], None] = lambda _peer: None) -> None:
    """Run a node until SIGTERM or SIGINT.

    Args:
        config: its settings.
        alter: is given the node before it starts (development nodes cheat by it).
        on_ready: is told its peer id once it serves.

    Raises:
        UnavailableError: the data directory can't be used, another node uses it, or this machine can't run jobs.
        ConfigError: an address can't be listened on.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    memory.use_few_pools()
    logs.configure(level=config.log_level, format=config.log_format)
    with _locked(data_folder(config.data_dir)):
        asyncio.run(_serve(config, alter, on_ready))


async def _serve(config: NodeConfig, alter: Alter, on_ready: Callable[[str], None]) -> None:
    log = logs.get("node")
    garbage.begin()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.RateLimitedLog("node").of_the_loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if os.getpid() == 1:  # of a container: whatever loses its parent is ours
        loop.add_signal_handler(signal.SIGCHLD, reap_inherited)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(rpc.event_loop())
        identity = Identity.load_or_create(config.data_dir / KEY_NAME)
        traces = _traces(identity.peer_id)
        if traces is not None:
            stack.callback(traces.close)
        node, monitor = await stack.enter_async_context(_node(config, identity, alter, traces))
        await stack.enter_async_context(_endpoints(config, identity, node, monitor))
        log.info("ready", peer=identity.peer_id, socket=str(config.data_dir / SOCKET_NAME), workers=node.engine.workers)
        on_ready(identity.peer_id)
        await stopping.wait()
        log.info("stopping", running=node.driver.running, unfinished=len(node.book.unfinished()))
    log.info("stopped")


@asynccontextmanager
async def _node(
    config: NodeConfig, identity: Identity, alter: Alter, traces: telemetry.Telemetry | None
) -> AsyncIterator[tuple[Node, Monitor]]:
    """A node at work, with everything below it open."""
    log = logs.get("node")
    on_write = crash_point(os.environ)
    metrics = Metrics()
    blobs = BlobStore(config.data_dir / _BLOBS, on_write=on_write)
    journal = Journal(config.data_dir / _JOURNAL, on_write=on_write)
    await asyncio.to_thread(journal.open)
    try:
        engine = await asyncio.to_thread(_engine, config)
        try:
            node = Node(config, identity, engine, journal, blobs, metrics)
            if traces is not None:
                node.trace(traces)
            alter(node)
            monitor = Monitor(node)
            watching = asyncio.create_task(monitor.run())
            resumed = await node.start()
            if resumed:
                log.info("resumed", jobs=resumed)
            try:
                yield node, monitor
            finally:
                await node.stop()
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        finally:
            await asyncio.to_thread(engine.close)
    finally:
        await asyncio.to_thread(journal.close)


def _traces(peer: str) -> telemetry.Telemetry | None:
    """Where spans go, if the environment asks for any; a node that can't send them does its work without."""
    if not telemetry.is_wanted(os.environ):
        return None
    try:
        return telemetry.telemetry("pangea-node", service_instance_id=peer)
    except ConfigError as error:
        logs.get("node").warning("no traces", reason=error.message, remedy=error.hint)
        return None


def _engine(config: NodeConfig) -> Engine:
    """What runs the node's tasks, ready.

    Raises:
        UnavailableError: the cluster that it is to be isn't there, or this machine can't run jobs.
    """
    if config.engine in ("", "local"):
        _warn_of_space()
        engine: Engine = LocalEngine(
            workers=config.workers or None, needs_space=False, gpu=config.gpu, memory_max=config.memory_max
        )
        if config.gpu != "off":
            _look_for_adapter(engine)
        return engine
    engine, _ = engine_of(config.engine)
    logs.get("node").info("engine", place=engine.place, workers=engine.workers, meter=engine.meter)  # asked of a worker, once
    return engine


def _look_for_adapter(engine: Engine) -> None:
    """Have an adapter found that parents may use, or say why there is none: such a node does all other work."""
    log = logs.get("node")
    try:
        engine.find_adapter()
        log.info("adapter", name=engine.adapter)
    except UnavailableError as error:
        log.warning("no adapter", reason=error.message, remedy=error.hint)


def _warn_of_space() -> None:
    """Say if no sandbox fits here: such a node can't execute, and yet owns jobs, passes tasks on and keeps what it has."""
    try:
        ulimits.check_space()
    except UnavailableError as error:
        text = f"{error.message}: the node starts, and every task that it executes itself will fail as `no host memory`"
        logs.get("node").warning("no room for a sandbox", error=text, remedy=error.hint)


@asynccontextmanager
async def _endpoints(config: NodeConfig, identity: Identity, node: Node, monitor: Monitor) -> AsyncIterator[None]:
    limits = WireLimits(
        connections_max=config.connections_max,
        calls_in_flight_max=config.calls_in_flight_max,
        idle_seconds=config.idle_seconds,
        handshake_seconds=config.handshake_seconds,
    )
    async with AsyncExitStack() as stack:
        if config.http:
            health = HealthServer(
                config.http, health=lambda: _health(monitor), ready=lambda: _not_ready(node, monitor), metrics=node.metrics
            )
            health.start()
            stack.callback(health.close)

        trouble, queue = logs.RateLimitedLog("rpc").tell, FairQueue()

        def session(caller: Caller) -> Session:
            return Session(node, caller, monitor)

        await stack.enter_async_context(serve_content(config.data_dir / CONTENT_NAME, session, limits, trouble))
        await stack.enter_async_context(serve_unix(config.data_dir / SOCKET_NAME, session, limits, trouble, queue))
        address = ""
        if config.listen:
            host, _, port = config.listen.rpartition(":")
            host = host.strip("[]")
            server = await stack.enter_async_context(
                serve_tcp(host, int(port), identity, node.membership.welcomes, session, limits, trouble, queue)
            )
            everywhere = "0.0.0.0"  # noqa: S104  # said, not listened at
            address = f"tcp://{config.listen.rpartition(':')[0] or everywhere}:{server.port}/{identity.peer_id}"
            logs.get("node").info("listening", address=address, allowed=len(config.allow), admitted=" ".join(config.admit))
        await stack.enter_async_context(_membership(config, identity, node, address))
        yield


@asynccontextmanager
async def _membership(config: NodeConfig, identity: Identity, node: Node, address: str) -> AsyncIterator[None]:
    """A node that is found by others, and looks for a parent if it is to have one."""
    async with AsyncExitStack() as stack:
        rpc_addresses = config.advertise or ((address,) if address else ())
        advertiser = await stack.enter_async_context(advertising(config, identity, node.driver.neighbours, rpc_addresses))
        node.driver.neighbours.on_moved = advertiser.advertise
        if config.join or config.find_parent:
            joining = Joining(
                identity,
                node.driver.neighbours,
                fixed=[NodeAddress.parse(text) for text in config.join],
                found=advertiser.known if config.find_parent else tuple,
                hello=node.membership.hello,
                random=Random(),  # noqa: S311  # spreads requests; guards nothing
            )
            task = asyncio.create_task(joining.run())
            stack.push_async_callback(_ended, task)
        yield


async def _ended(task: asyncio.Task[None]) -> None:
    while not task.done():  # a cancellation gets lost that meets the end of what is awaited
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
    await asyncio.gather(task, return_exceptions=True)


def _health(monitor: Monitor) -> dict[str, str]:
    silence = monitor.silence
    return {} if silence <= _SILENCE_SECONDS else {"loop": f"the event loop hasn't come round for {silence:.1f} s"}


def _not_ready(node: Node, monitor: Monitor) -> list[str]:
    reasons = [*_health(monitor).values()]
    if node.is_stopping:
        reasons.append("stopping")
    if node.journal.problem:
        reasons.append(node.journal.problem)
    return reasons


def data_folder(folder: Path) -> Path:
    """Make the data directory, for this user alone.

    Raises:
        UnavailableError: it can't be made or written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("not writable")
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UnavailableError(
            f"the data directory {folder} can't be used: {(error.strerror or str(error)).lower()}",
            hint="give the node a directory it may write to: --data-dir",
        ) from error
    _check_plain(folder)
    return folder


def _check_plain(folder: Path) -> None:
    """See that nothing in the data directory is a pipe or a device: to open such may take for ever, and so may to read it."""
    for path in folder.iterdir():
        with suppress(OSError):  # it leads nowhere, or is gone: whoever wants it will say so
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode)):
                what = "named pipe" if stat.S_ISFIFO(mode) else "device"
                raise UnavailableError(
                    f"{path} is a {what}, not a file of a node", hint="move it away, or give another --data-dir"
                )


def _lock_file(path: Path) -> io.FileIO:
    try:
        return open(path, "a+b", buffering=0)
    except OSError as error:
        raise UnavailableError(
            f"the lock {path} can't be used: {(error.strerror or str(error)).lower()}",
            hint="make room on its disk, and let the node write to its folder; or give another --data-dir",
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the data directory: two nodes in one would spoil it. The kernel lets go of it when the process dies."""
    with _lock_file(folder / LOCK_NAME) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).decode(errors="replace").strip()
            raise UnavailableError(
                f"another node uses {folder} (process {holder or 'unknown'})", hint="stop it, or give this one its own --data-dir"
            ) from None
        with suppress(OSError):  # on a full disk nobody learns whose it is; it is held all the same
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
        yield
        with suppress(OSError):
            file.truncate(0)
