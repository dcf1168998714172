"""`pangea peer`: whom a node knows, what it thinks of them, and whom it shuts out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cyclopts import App

from pangea.compute.cli.console import say
from pangea.compute.cli.node_options import NodeOptions, print_record, short
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.model.errors import PeerError
from pangea.compute.model.units import human_bytes

app: App = App(
    name="peer",
    help="""Show whom a node on this machine knows, what it thinks of them, and shut peers out.

    PEER is a peer id or the beginning of one.""",
)

_NEIGHBOURS = f"{'PEER':<16}  {'RELATION':<8}  {'SITE':<10}  {'CORES':>5}  {'NODES':>5}  {'TRIP':>8}  {'TASKS':>5}  {'DONE':>7}"
_SHOWN_MAX = 5
#: What is told of a worker in another function than `execute`; the rest is the same in all.
_OF_A_FUNCTION = {"passes", "credibility"}


@app.command(name="list")
def show_all(*, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """List the node's neighbours, then who is banned, and for what.

    CORES and NODES count all that stand behind a child; TASKS it has now, DONE it has answered; bytes are of content.
    """
    with (node or NodeOptions()).client() as client:
        known = client.peers()
    if wants_json(as_json=as_json):
        print_data(known)
        return
    print_out(f"{_NEIGHBOURS}  {'SENT':>10}  {'RECEIVED':>10}  ADDRESS")
    for peer in known["peers"]:
        print_out(_neighbour(peer))
    for ban in known["banned"]:
        print_out(f"{short(ban['peer']):<16}  banned until {_moment(ban['until'])}: {ban['cause'] or 'nobody wrote down why'}")
        if proof := ban.get("proof"):
            print_out(f"{'':<16}  proof: pangea verify {proof}")


@app.command
def show(peer: str, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Show all that the node knows of one peer: as a neighbour, as a worker, its place, its ban.

    Parameters
    ----------
    peer
        A peer id, or the beginning of one.
    """
    with (node or NodeOptions()).client() as client:
        known = client.peers()
    name = find(known, peer)
    record: dict[str, Any] = {"peer": name}
    record |= next((each for each in known["peers"] if each["peer"] == name), {})
    place = next((each for each in known["below"] if each["peer"] == name), None)
    record |= {"parent": place["parent"], "site": place["site"]} if place is not None else {}
    for each in known["workers"]:
        if each["worker"] == name:
            of = "" if each["function"] == "execute" else f"{each['function']}_"
            told = _OF_A_FUNCTION if of else each.keys() - {"worker", "function"}
            record |= {of + field: value for field, value in each.items() if field in told}
    ban = next((each for each in known["banned"] if each["peer"] == name), None)
    record["banned"] = f"until {_moment(ban['until'])}: {ban['cause']}" if ban is not None else "no"
    print_record(record, as_json=as_json)


@app.command
def trust(*, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """List workers with the checks that they have passed, and how credible that makes them."""
    with (node or NodeOptions()).client() as client:
        workers = client.peers()["workers"]
    if wants_json(as_json=as_json):
        print_data({"workers": workers})
        return
    print_out(f"{'PEER':<16}  {'PASSES':>6}  {'CREDIBILITY':>11}  {'RELIABILITY':>11}  {'BANS':>4}  {'FUNCTION':<8}  RUNTIME")
    for row in workers:
        print_out(
            f"{short(row['worker']):<16}  {row['passes']:>6,}  {row['credibility']:>11.6f}  {row['reliability']:>11.4f}"
            f"  {row['bans']:>4}  {row['function']:<8}  {row['runtime'][:24]}{'  banned' if row['is_banned'] else ''}"
        )


@app.command
def ban(peer: str, *, reason: str = "", node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Shut a peer out: its link is closed, its answers don't count, what only it vouched for is done again.

    Parameters
    ----------
    peer
        A peer id, or the beginning of one.
    reason
        What to write down.
    """
    with (node or NodeOptions()).client() as client:
        name = find(client.peers(), peer)
        client.ban(name, reason)
    if wants_json(as_json=as_json):
        print_data({"peer": name, "reason": reason})
    else:
        say(f"{name} is banned")


@app.command(name=["pardon", "unban"])
def pardon(peer: str, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Lift a ban; the peer begins as a stranger again.

    Parameters
    ----------
    peer
        A peer id, or the beginning of one.
    """
    with (node or NodeOptions()).client() as client:
        name = find(client.peers(), peer)
        was_banned = client.unban(name)
    if wants_json(as_json=as_json):
        print_data({"peer": name, "was_banned": was_banned})
        return
    say(f"{name} {'may come back' if was_banned else 'was not banned'}")


def find(known: dict[str, Any], text: str) -> str:
    """The peer that `text` means: an id, or the beginning of one that the node knows.

    Raises:
        PeerError: none, or several.
    """
    ids = {each["peer"] for name in ("peers", "below", "banned") for each in known[name]}
    ids |= {each["worker"] for each in known["workers"]} | {known["peer_id"]}
    found = sorted(each for each in ids if each.startswith(text)) if text else []
    if text in ids or len(found) == 1:
        return text if text in ids else str(found[0])
    if len(found) > 1:
        names = ", ".join(map(short, found[:_SHOWN_MAX]))
        raise PeerError(f"{text!r} could be {names}{' …' if len(found) > _SHOWN_MAX else ''}", hint="give more of the id")
    from pangea.compute.network.identity import is_peer_id

    if not is_peer_id(text):
        raise PeerError(f"the node knows no peer whose id begins with {text[:80]!r}", hint="pangea peer list shows whom it knows")
    return text


def _neighbour(peer: dict[str, Any]) -> str:
    cores, nodes, tasks, done = (f"{peer[name]:,}" if name in peer else "" for name in ("cores", "nodes", "tasks", "answered"))
    return (
        f"{short(peer['peer']):<16}  {peer['relation']:<8}  {peer['site'][:10]:<10}  {cores:>5}  {nodes:>5}"
        f"  {peer['round_trip_ms']:>5.1f} ms  {tasks:>5}  {done:>7}"
        f"  {human_bytes(peer['sent_bytes']):>10}  {human_bytes(peer['received_bytes']):>10}  {peer['address']}"
    )


def _moment(seconds: float | None) -> str:
    return "further notice" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
