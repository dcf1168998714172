"""`pangea dashboard`: the live page of a node."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from pangea.compute.cli.console import say
from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.dashboard.needs import TOKEN_VARIABLE, check

_LISTEN = "127.0.0.1:8808"


def dashboard(
    *,
    listen: str = _LISTEN,
    token: Annotated[bool, Parameter(negative="")] = False,
    node: NodeOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Serve the live page of a node until Ctrl-C or SIGTERM: jobs, failures, checks, bans, the tree, costs.

    It is read-only, loads nothing from elsewhere, and shows what the user who starts it may see. Its address goes to stdout.

    Parameters
    ----------
    listen
        host:port; port 0 takes any. Off loopback whoever looks needs the token that is in the address that is printed;
        PANGEA_DASHBOARD_TOKEN sets it.
    token
        A token is needed on loopback, too: other users of this machine can't look.
    """
    check()
    from pangea.compute.dashboard import server
    from pangea.compute.dashboard.listening import listen as listen_on
    from pangea.compute.dashboard.node_source import NodeSource

    chosen = node or NodeOptions()
    source = NodeSource(chosen.address(), identity=str(chosen.identity) if chosen.identity is not None else None)
    on = listen_on(listen, token=os.environ.get(TOKEN_VARIABLE, ""), needs_token=token)
    try:
        if wants_json(as_json=as_json):
            server.serve(source, on, ready=lambda: print_data({"url": on.url, "node": str(source.address)}))
            return
        say(f"the page of the node at {source.address}; Ctrl-C ends it")
        server.serve(source, on, ready=lambda: print_out(on.url))
    finally:
        source.close()
