"""A node as this process speaks to it: found by its address, over a link that a thread of its own keeps."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pangea.compute.client.submission import link
from pangea.compute.client.submission.remote import RemoteNode
from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.network.peers.address import SOCKET_NAME, NodeAddress

if TYPE_CHECKING:  # it brings cryptography, for which users of this machine's node have no use
    from pangea.compute.network.identity import Identity

T = TypeVar("T")

#: In a forked child: what must not be freed there, since it belongs to a thread of the parent's.
_of_parents: list[RemoteNode] = []


def _identity(key: Path) -> Identity:
    from pangea.compute.network.identity import Identity

    return Identity.load_or_create(key)


class NodeLink:
    """A node, and the thread that speaks to it: what clients and handles are made of.

    Attributes:
        dashboard_url: where the live page is that this process serves of it; "": nowhere.
    """

    dashboard_url: str = ""

    def __init__(
        self,
        node: str | None = None,
        *,
        identity: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        reconnect_timeout: float = 30.0,
    ) -> None:
        """A client of a node; it is connected to when it is first asked.

        Args:
            node: its address: `unix:/path/rpc.sock`, a data directory, or `tcp://host:port/PEER_ID`. By default PANGEA_NODE, else
                the node in PANGEA_DATA_DIR, else the user's own.
            identity: file with the key that proves who you are to nodes over TCP; by default PANGEA_IDENTITY.
            timeout: seconds for one call.
            reconnect_timeout: seconds to look for a node that was lost, before `UnavailableError`.

        Raises:
            ConfigError: there is no node to speak to, or the address is none.
        """
        self.address: NodeAddress = find_node(node)
        key = identity or os.environ.get("PANGEA_IDENTITY")
        #: The file with the key that proves who asks; None: there is none.
        self.identity_file: Path | None = Path(key) if key else None
        who = _identity(self.identity_file) if self.identity_file else None
        self._connect = partial(RemoteNode, self.address, identity=who, timeout=timeout, reconnect_timeout=reconnect_timeout)
        self._begin()

    def _begin(self) -> None:
        self._link = link.thread()
        self._remote = self._connect()
        self._process = os.getpid()

    def _come_along(self) -> None:
        """In a forked child begin anew: the thread and the connection stay with the parent."""
        if self._process != os.getpid():
            _of_parents.append(self._remote)
            self._begin()

    @property
    def remote(self) -> RemoteNode:
        """The node, as this process knows it."""
        self._come_along()
        return self._remote

    @property
    def is_gone(self) -> bool:
        """Whether its thread has ended, with the process's links: another client is needed."""
        return self._process == os.getpid() and self._link is not link.thread()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work` on the link thread."""
        self._come_along()
        return self._link.start(work)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` on the link thread, and wait: every part of it has its deadline."""
        self._come_along()
        if self._link.is_current():
            work.close()
            raise UnavailableError("a callback of a job can't wait for its node", hint="do it in a thread of your own")
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def find_node(node: str | None) -> NodeAddress:
    """The address of the node that is meant.

    Raises:
        ConfigError: none is given anywhere, or it is no address.
    """
    if given := node or os.environ.get("PANGEA_NODE"):
        return NodeAddress.parse(given)
    if folder := os.environ.get("PANGEA_DATA_DIR"):
        return NodeAddress(path=Path(folder).absolute() / SOCKET_NAME)
    from pangea.compute.engine.places import data_folder

    own = data_folder()
    if own is not None and (own / SOCKET_NAME).exists():
        return NodeAddress(path=own / SOCKET_NAME)
    raise ConfigError(
        "no node is given",
        hint="name one with --node, --data-dir or PANGEA_NODE, or start one with `pangea node start`",
        field="node",
    )
