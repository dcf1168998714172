"""Which engine is meant: an address, somebody's client, or an engine already."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.engines import embedded
from pangea.compute.model.errors import ManifestError, UnavailableError

if TYPE_CHECKING:  # loaded with the cluster that is meant
    from pangea.compute.engine.engines.remote import RemoteEngine

_HINT = "engine is local, dask://host:8786, ray://host:10001, ray (this process's), a distributed.Client, or an Engine"
_lock = threading.RLock()
_by_address: dict[str, RemoteEngine] = {}
_by_client: weakref.WeakKeyDictionary[Any, RemoteEngine] = weakref.WeakKeyDictionary()


def engine_of(wanted: Any) -> tuple[Engine, bool]:
    """The engine that `wanted` names, and whether this call had to start it. Each is connected to once, and kept.

    Args:
        wanted: None or "local": this machine; `dask://host:port`; `ray://host:port`, "ray"; a
            `distributed.Client`, or a cluster that has one; an `Engine`.

    Raises:
        ManifestError: it names none.
        UnavailableError: there is nothing there, or what is needed to speak to it isn't installed.
    """
    if wanted is None or wanted == "local":
        return embedded.engine()
    if isinstance(wanted, Engine):
        return wanted, False
    with _lock:
        if isinstance(wanted, str):
            return _at(wanted)
        distributed = sys.modules.get("distributed")
        if distributed is not None and isinstance(wanted, distributed.Client):
            return _of_client(wanted)
        if distributed is not None and isinstance(wanted, distributed.deploy.Cluster):
            return _at(f"dask:{wanted.scheduler_address}")
    raise ManifestError(f"engine is {wanted!r:.100}; it names no engine", hint=_HINT, field="engine")


def close() -> None:
    """Let go of every cluster that was connected to."""
    with _lock:
        engines = [*_by_address.values(), *_by_client.values()]
        _by_address.clear()
        _by_client.clear()
    for engine in engines:
        engine.close()


def _at(address: str) -> tuple[RemoteEngine, bool]:
    known = _by_address.get(address)
    if known is not None and not known.is_gone:
        return known, False
    if known is not None:
        known.close()
    engine = _by_address[address] = _connected(address)
    return engine, True


def _connected(address: str) -> RemoteEngine:
    scheme, _, rest = address.partition(":")
    try:
        if scheme == "dask" and rest.strip("/"):
            from pangea.compute.engine.engines.dask import DaskEngine

            return DaskEngine(f"tcp:{rest}" if rest.startswith("//") else rest)
        if scheme == "ray":
            from pangea.compute.engine.engines.ray import RayEngine

            return RayEngine(address if rest else "")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("dask", "distributed", "ray"):
            raise
        raise UnavailableError(f"{error.name} isn't installed", hint=f"pip install 'pangea-compute[{scheme}]'") from error
    raise ManifestError(f"engine is {address!r:.100}; it names no engine", hint=_HINT, field="engine")


def _of_client(client: Any) -> tuple[RemoteEngine, bool]:
    known = _by_client.get(client)
    if known is not None and not known.is_gone:
        return known, False
    from pangea.compute.engine.engines.dask import DaskEngine

    if client.asynchronous:
        raise ManifestError("the Dask client is an asynchronous one", hint="give a blocking distributed.Client", field="engine")
    engine = _by_client[client] = DaskEngine(client)
    return engine, True


atexit.register(close)
