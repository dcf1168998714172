"""`pangea node`: run a node, and ask it how it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from pangea.compute.cli.node_options import NodeOptions, Output, print_record

app = App(name="node", help="Run a node of the compute network on this machine, or look at one.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """A node's settings as flags. They win over the environment (PANGEA_DATA_DIR=...) and configuration files."""

    data_dir: Path | None = None
    "Where the node keeps its key, its journal, its content, and its socket `rpc.sock`."
    listen: str | None = None
    "host:port for RPC over mutual TLS. Without it only users of this machine can reach the node."
    allow: Annotated[list[str] | None, Parameter(negative="")] = None
    "Peer ids that may submit over TCP."
    join: Annotated[list[str] | None, Parameter(negative="")] = None
    "Addresses of nodes to work for (/ip4/1.2.3.4/tcp/4040/p2p/PEER_ID): the first that takes this one becomes its parent."
    find_parent: Annotated[bool | None, Parameter(negative="")] = None
    "Look for a parent among the nodes that discovery finds."
    admit: Annotated[list[str] | None, Parameter(negative="")] = None
    "Peer ids that may work for this node as its children; `open`: any."
    children_max: int | None = None
    "Children that it takes at once."
    site: str | None = None
    "A label of where it is: work stays within a site as far as it can."
    advertise: Annotated[list[str] | None, Parameter(negative="")] = None
    "Addresses it can be reached at from elsewhere [default: the one of --listen]."
    discovery: str | None = None
    "host:port (port 0: any) where other nodes can ask whom this one knows. Without it nobody is found and nobody finds it."
    bootstrap: Annotated[list[str] | None, Parameter(negative="")] = None
    "Multiaddrs of nodes' discovery to start from."
    mdns: bool | None = None
    "Whether to look on the local network, too [default: yes]."
    http: str | None = None
    "host:port of /healthz, /readyz and /metrics."
    workers: int | None = None
    "Worker processes [default: one per core]."
    log_level: str | None = None
    "debug, info, warning or error."
    log_format: str | None = None
    "text, json, or auto: text on a terminal."
    jobs_per_owner_max: int | None = None
    "Unfinished jobs that one owner may have."
    bytes_per_owner_max: str | None = None
    "Bytes of input that one owner's unfinished jobs may have."
    fuel_per_owner_max: int | None = None
    "Fuel that one owner may ever use; 0: no limit."
    jobs_max: int | None = None
    "Unfinished jobs in all."
    kept_jobs_max: int | None = None
    "Ended jobs whose results are kept."
    kept_days: float | None = None
    "Days that they are kept."
    connections_max: int | None = None
    "Connections in all."
    calls_in_flight_max: int | None = None
    "Unanswered calls on one connection."
    idle_seconds: str | None = None
    "Time that a connection may be silent."
    handshake_seconds: str | None = None
    "Time for a TLS handshake."
    stop_seconds: str | None = None
    "Time that running tasks get to finish when the node is stopped."
    sabotage: str | None = None
    "KIND or KIND:NUMBER: how the node cheats its parents. For development only; docs/tree.md names the kinds."


@app.command
def start(*, config: Path | None = None, flags: Settings | None = None) -> None:
    """Run a node in the foreground until SIGTERM or Ctrl-C.

    Jobs that it has accepted survive: after a crash, a power cut or `kill -9` they go on at the next start. `pangea config list`
    shows every setting and where it comes from.

    Parameters
    ----------
    config
        Configuration file (TOML, table [node]), instead of ./pangea.toml and the user's and the machine's own.
    """
    from pangea.compute.cli.config import settings
    from pangea.compute.node import daemon

    daemon.run(settings(asdict(flags or Settings()), config)[0])


@app.command(name="id")
def show_id(*, data_dir: Path | None = None) -> None:
    """Print the node's peer id; a node that has none yet gets one.

    Parameters
    ----------
    data_dir
        The node's data directory.
    """
    from pangea.compute.cli.config import settings
    from pangea.compute.network.identity import Identity
    from pangea.compute.node.daemon import KEY_NAME, data_folder

    folder = data_folder(settings({"data_dir": data_dir}, None)[0].data_dir)
    print(Identity.load_or_create(folder / KEY_NAME).peer_id)  # noqa: T201


@app.command
def status(*, node: NodeOptions | None = None, output: Output = None) -> None:
    """Say how a node is: version, load, your jobs and tasks by state, rates.

    Parameters
    ----------
    output
        table or json.
    """
    with (node or NodeOptions()).client() as client:
        print_record(client.info().to_json(), output)
