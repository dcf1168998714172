"""`pangea node`: run a node, and ask it how it is."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from pangea.compute.cli.dashboard_beside import page_beside
from pangea.compute.cli.node_options import NodeOptions, print_record, short
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.quantities import parse_duration
from pangea.compute.model.units import human_bytes
from pangea.compute.pictures.runs.scales import amount

app: App = App(name="node", help="Run a node of the compute network on this machine, or look at one.")


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
    children_max: Whole | None = None
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
    workers: Whole | None = None
    "Worker processes [default: one per core]."
    memory_max: str | None = None
    "Memory that sandboxes may have together, such as 2GiB: each counts as its job's limit [default: no cap]."
    engine: str | None = None
    "A cluster that runs the tasks instead: dask://host:8786, ray://host:10001, or ray for this machine's."
    gpu: str | None = None
    "Which adapter shaders may use, parents' too: auto, software, hardware, off, or a Vulkan driver's .json file [default: off]."
    only_idle: Annotated[bool | None, Parameter(negative="")] = None
    "Work for parents only while other programs leave this machine alone: less than 25 % of its cores for 3 minutes."
    hours: str | None = None
    "Hours of the local day in which it works for parents, such as 22:00-07:00."
    battery: Annotated[bool | None, Parameter(negative="")] = None
    "Work for parents on battery, too."
    log_level: str | None = None
    "debug, info, warning or error."
    log_format: str | None = None
    "text, json, or auto: text on a terminal."
    jobs_per_owner_max: Whole | None = None
    "Unfinished jobs that one owner may have."
    bytes_per_owner_max: str | None = None
    "Bytes of input that one owner's unfinished jobs may have."
    fuel_per_owner_max: Whole | None = None
    "Fuel that one owner may ever use; 0: no limit."
    jobs_max: Whole | None = None
    "Unfinished jobs in all."
    kept_jobs_max: Whole | None = None
    "Ended jobs whose results are kept."
    kept_days: float | None = None
    "Days that they are kept."
    connections_max: Whole | None = None
    "Connections in all."
    calls_in_flight_max: Whole | None = None
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
def start(*, config: Path | None = None, dashboard: str = "", flags: Settings | None = None, as_json: AsJson = False) -> None:
    """Run a node in the foreground until SIGTERM or Ctrl-C.

    Jobs that it has accepted survive: after a crash, a power cut or `kill -9` they go on at the next start. `pangea config list`
    shows every setting and where it comes from.

    Parameters
    ----------
    config
        Configuration file (TOML, table [node]), instead of ./pangea.toml and the user's and the machine's own.
    dashboard
        host:port of the live page, in a process of its own beside the node. Off loopback it needs the token that it prints.
    """
    from pangea.compute.cli.config import settings
    from pangea.compute.network.peers.address import SOCKET_NAME
    from pangea.compute.node.service import daemon
    from pangea.compute.testing import byzantine

    chosen, _ = settings(asdict(flags or Settings()), config)
    address = f"unix:{chosen.data_dir.expanduser().absolute() / SOCKET_NAME}"
    alter = partial(byzantine.install, chosen.sabotage, chosen.data_dir / daemon.KEY_NAME)
    is_told = wants_json(as_json=as_json)

    def ready(peer: str) -> None:
        if is_told:
            print_data({"peer_id": peer, "node": address, "data_dir": str(chosen.data_dir)})

    with page_beside(address, dashboard) if dashboard else nullcontext():
        daemon.run(chosen, alter=alter, on_ready=ready)


@app.command(name="id")
def show_id(*, data_dir: Path | None = None, as_json: AsJson = False) -> None:
    """Print the node's peer id; a node that has none yet gets one.

    Parameters
    ----------
    data_dir
        The node's data directory.
    """
    from pangea.compute.cli.config import settings
    from pangea.compute.network.identity import Identity
    from pangea.compute.node.service.daemon import KEY_NAME, data_folder

    folder = data_folder(settings({"data_dir": data_dir}, None)[0].data_dir)
    peer = Identity.load_or_create(folder / KEY_NAME).peer_id
    print_data({"peer_id": peer}) if wants_json(as_json=as_json) else print_out(peer)


@app.command
def status(*, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Say how a node is: version, load, your jobs and tasks by state, rates."""
    with (node or NodeOptions()).client() as client:
        print_record(client.info().to_json(), as_json=as_json)


@app.command
def pause(
    *,
    lasting: Annotated[str, Parameter(name="--for")] = "",
    node: NodeOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Have a node of yours do nothing more for others: its parents get back what it hasn't begun. Its own jobs go on.

    It stays paused over restarts.

    Parameters
    ----------
    lasting
        For how long, such as 2h or 30m [default: until `pangea node resume`].
    """
    seconds = parse_duration(lasting, "--for") if lasting else 0.0
    with (node or NodeOptions()).client() as client:
        client.pause(seconds)
        lends = client.info().lends
    print_data({"lends": lends}) if wants_json(as_json=as_json) else print_out(f"works for others: {lends}")


@app.command
def resume(*, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Have a node of yours work for others again."""
    with (node or NodeOptions()).client() as client:
        was_paused = client.resume()
        lends = client.info().lends
    if wants_json(as_json=as_json):
        print_data({"lends": lends, "was_paused": was_paused})
    else:
        print_out(f"works for others: {lends}" if was_paused else "it wasn't paused")


@app.command
def contributions(*, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """List what a node of yours has done for whom, ever: tasks of others' jobs, seconds in sandboxes, fuel, bytes, since when.

    FOR is the node whose client's job it was. The figures are this node's own.
    """
    with (node or NodeOptions()).client() as client:
        told = client.peers().get("contributions")
    if told is None:
        raise UnavailableError("the node is of a version that keeps no account of what it does for others", hint="update it")
    if wants_json(as_json=as_json):
        print_data(told)
        return
    if not told["worked_for"]:
        print_out("nothing has been done for others")
        return
    print_out(
        f"{'FOR':<16}  {'TASKS':>9}  {'FAILED':>7}  {'SECONDS':>11}  {'FUEL':>9}  {'IN':>9}  {'OUT':>9}  SINCE       LAST JOB"
    )
    for row in told["worked_for"]:
        since = datetime.fromtimestamp(row["since"], UTC).strftime("%Y-%m-%d")
        print_out(f"{short(row['owner']):<16}  {_work(row)}  {since}  {row['job']}")
    if told["others"]:
        print_out(f"{'others':<16}  {_work(told['rest'])}  of {told['others']:,} nodes that least was done for")
    print_out(f"{'in all':<16}  {_work(told['total'])}")


def _work(row: dict[str, Any]) -> str:
    sizes = "  ".join(f"{human_bytes(row[name]):>9}" for name in ("bytes_in", "bytes_out"))
    return f"{row['tasks']:>9,}  {row['failed']:>7,}  {row['seconds']:>11,.1f}  {amount(row['fuel']):>9}  {sizes}"
