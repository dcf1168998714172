"""`pangea devnet`: a tree of real nodes on this machine, to try things on."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from pangea.compute.cli.console import say
from pangea.compute.cli.dashboard_beside import page_beside
from pangea.compute.cli.node_options import short
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import UnavailableError

if TYPE_CHECKING:
    from pangea.compute.cli.devnet_nodes import Devnet, DevnetNode

_PREFIX = "pangea-devnet-"
_LOCK = "lock"
_WATCH_SECONDS = 0.5
_ANYWHERE = "127.0.0.1:0"


def devnet(
    *,
    nodes: Whole = 7,
    depth: Whole = 2,
    behind_nat: Whole = 0,
    liar: Annotated[list[str] | None, Parameter(consume_multiple=(1, None), negative="")] = None,
    slow: Whole = 0,
    workers: Whole = 1,
    gpu: str = "off",
    discovery: Annotated[list[Literal["mdns"]] | None, Parameter(consume_multiple=(0, 1), negative="")] = None,
    sites: str = "",
    data_dir: Path | None = None,
    dashboard: Annotated[list[str] | None, Parameter(consume_multiple=(0, 1), negative="")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a tree of real nodes on this machine until Ctrl-C or SIGTERM, then leave nothing behind.

    Each is a process of its own on loopback. Who is who goes to stderr; when all are up, stdout gets PANGEA_NODE=..., node 0.

    Parameters
    ----------
    nodes
        Nodes in all.
    depth
        Hops from node 0 to the deepest.
    behind_nat
        Leaves that listen nowhere: they dial.
    liar
        KIND:COUNT or KIND:COUNT:NUMBER, any number of times: nodes that cheat (docs/tree.md names the kinds).
    slow
        Leaves that take four times as long.
    workers
        Worker processes of each node.
    gpu
        Which adapters nodes use for shaders, in turn: off, auto, software, hardware or a driver's .json, with commas between.
    discovery
        Nodes are told of no parent, they look for one: from node 0's discovery on, or, with `mdns`, from nothing.
    sites
        Labels of where nodes are, with commas between: one for each branch in turn.
    data_dir
        Where nodes keep their data and logs, and leave them [default: a folder that is removed at the end].
    dashboard
        Serve the live page of node 0, at host:port or, without a value, at any port of this machine; stderr says where.
    """
    from pangea.compute.cli.devnet_nodes import Devnet
    from pangea.compute.cli.devnet_plan import adapters, fan_out, plan

    labels = [label.strip() for label in sites.split(",") if label.strip()]
    places = plan(nodes, depth, behind_nat=behind_nat, liars=liar or [], slow=slow, sites=labels)
    how = "" if discovery is None else discovery[0] if discovery else "bootstrap"
    width = max(1, fan_out(nodes, depth))
    introduce = _introduce if discovery is None else _introduce_found
    with (
        _folder(data_dir) as folder,
        Devnet(places, folder, workers=workers, gpus=adapters(gpu), discovery=how, children_max=width, on_up=introduce) as net,
        page_beside(net.address, (dashboard or [_ANYWHERE])[0]) if dashboard is not None else nullcontext(),
    ):
        net.start()
        _tell(net, as_json=as_json)
        _watch(net.nodes)


def _tell(net: Devnet, *, as_json: bool) -> None:
    """Say where node 0 is."""
    if wants_json(as_json=as_json):
        print_data({"node": net.address, "nodes": [_record(node) for node in net.nodes]})
    else:
        print_out(f"PANGEA_NODE={net.address}")


def _introduce_found(node: DevnetNode, parent: str) -> None:
    """With discovery, a node's role is what it finds."""
    _introduce(node, parent, role="" if node.place.parent is None else "node")


def _introduce(node: DevnetNode, parent: str, *, role: str = "") -> None:
    place = node.place
    address = node.address.rpartition("/")[0] if not place.is_behind_nat else "behind a NAT"
    notes = [f"site {place.site}"] if place.site else []
    if place.sabotage:
        notes.append(place.sabotage if place.sabotage.startswith("slow") else f"liar: {place.sabotage}")
    below = f"under {parent}" if parent else "root"
    said = "".join(f"  ({note})" for note in notes)
    say(f"node {place.number:<3} {role or place.role:<8} {short(node.peer)}  {address:<23} {below}{said}")


def _record(node: DevnetNode) -> dict[str, Any]:
    place = node.place
    return {
        "number": place.number,
        "peer": node.peer,
        "address": node.address,
        "data_dir": str(node.data_dir),
        "parent": node.parent,
        "site": place.site,
        "sabotage": place.sabotage,
    }


def _watch(nodes: list[DevnetNode]) -> None:
    """Until interrupted; says which nodes end by themselves.

    Raises:
        UnavailableError: node 0 has.
    """
    gone: set[int] = set()
    while True:
        for node in nodes:
            if not node.is_alive and node.place.number not in gone:
                gone.add(node.place.number)
                say(f"node {node.place.number} has ended; its log ends with\n{node.trouble()}")
        if 0 in gone:
            raise UnavailableError("node 0 has ended, and the devnet with it")
        time.sleep(_WATCH_SECONDS)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """A folder for a devnet: the one that is given, or one that is removed at the end, as are those of killed devnets."""
    from pangea.compute.cli.devnet_nodes import remove
    from pangea.compute.node.service.daemon import data_folder

    if given is not None:
        yield data_folder(given.expanduser().absolute())
        return
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with open(folder / _LOCK, "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as long as this process lives
            yield folder
    finally:
        remove(folder)


def _sweep(place: Path) -> None:
    """Remove what devnets left that were killed."""
    from pangea.compute.cli.devnet_nodes import remove

    for folder in place.glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            with open(folder / _LOCK, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
        except OSError:  # in use, or just being made
            continue
