"""Who has places at a server, while it has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.service import Caller
from pangea.compute.network.serving.server import Server


@dataclass(eq=False)
class _Used:
    """A connection on which calls were made just now."""

    caller: Caller
    has_said_nothing = False
    is_silent = False


def test_nothing_is_kept_of_a_caller_whose_connections_are_gone() -> None:
    server = Server(cast(Any, None), WireLimits(connections_per_owner_max=2), lambda _error: None)
    for number in range(1_000):
        caller = Caller(f"stranger {number}", is_local=False)
        links = [cast(Any, _Used(caller)) for _ in range(3)]
        assert [server.admit(link, caller) for link in links] == [True, True, False]
        for link in links:
            server.leave(link, caller)
    assert not server._per_owner
    assert server.connections == 0
