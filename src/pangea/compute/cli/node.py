"""`pangea node`: run a node, and ask it how it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from pangea.compute.cli.node_options import NodeOptions, Output, print_record

app = App(name="node", help="Run a node of the compute network on this machine, or look at one.")


@app.command
def start(
    *,
    data_dir: Path | None = None,
    config: Path | None = None,
    listen: str | None = None,
    allow: Annotated[list[str] | None, Parameter(negative="")] = None,
    http: str | None = None,
    workers: int | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
    jobs_per_owner_max: int | None = None,
    bytes_per_owner_max: str | None = None,
    fuel_per_owner_max: int | None = None,
    stop_seconds: str | None = None,
) -> None:
    """Run a node in the foreground until SIGTERM or Ctrl-C.

    Jobs that it has accepted survive: after a crash, a power cut or `kill -9` they go on at the next start. Every setting can
    also stand in the environment (PANGEA_DATA_DIR=...) or in a configuration file; `pangea config list` shows all.

    Parameters
    ----------
    data_dir
        Where it keeps its key, its journal, its content, and its socket `rpc.sock`.
    config
        Configuration file (TOML, table [node]), instead of ./pangea.toml and the user's and the machine's own.
    listen
        host:port for RPC over mutual TLS. Without it only users of this machine can reach the node.
    allow
        Peer ids that may submit over TCP.
    http
        host:port of /healthz, /readyz and /metrics.
    workers
        Worker processes [default: one per core].
    log_level
        debug, info, warning or error.
    log_format
        text, json, or auto: text on a terminal.
    jobs_per_owner_max
        Unfinished jobs that one owner may have.
    bytes_per_owner_max
        Bytes of input that one owner's unfinished jobs may have.
    fuel_per_owner_max
        Fuel that one owner may ever use; 0: no limit.
    stop_seconds
        Time that running tasks get to finish when the node is stopped.
    """
    from pangea.compute.cli.config import settings
    from pangea.compute.node import daemon

    flags = {
        "data_dir": data_dir,
        "listen": listen,
        "allow": allow,
        "http": http,
        "workers": workers,
        "log_level": log_level,
        "log_format": log_format,
        "jobs_per_owner_max": jobs_per_owner_max,
        "bytes_per_owner_max": bytes_per_owner_max,
        "fuel_per_owner_max": fuel_per_owner_max,
        "stop_seconds": stop_seconds,
    }
    daemon.run(settings(flags, config)[0])


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
