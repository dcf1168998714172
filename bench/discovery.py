"""How soon nodes find each other, what that costs, and why py-libp2p's DHT alone leaves some out.

    python bench/discovery.py library [--hosts N] [--slots N]   the routing tables of bare KadDHT hosts after one refresh
    python bench/discovery.py together [--hosts N] [--no-dht]   discoveries in one process: until each knows 8 others, and all
    python bench/discovery.py local [--hosts N]                 processes that find each other by mDNS
    python bench/discovery.py cost [--seconds S]                memory and idle CPU that discovery adds to a process

All on one machine, so that the times are its CPU's more than the network's. What the figures mean: docs/discovery.md.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from pangea.compute.network.discovery.service import Advertisement, DiscoverySettings, discover
from pangea.compute.network.identity import Identity, certificate_of

LOOPBACK = DiscoverySettings(host="127.0.0.1", mdns=False)
SECONDS = 120.0


def memory_mib() -> float:
    """Memory of this process (RSS)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 2**20


# The library alone.


def library(hosts: int, slots: int) -> None:
    import trio

    logging.disable(logging.CRITICAL)
    trio.run(_library, hosts, slots)


async def _library(count: int, slots: int) -> None:
    """Hosts that know one of them refresh their tables all at once, as after a power cut; then those left out, one by one."""
    import trio
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.kad_dht.common import PROTOCOL_ID
    from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
    from libp2p.peer.peerinfo import PeerInfo
    from libp2p.tools.anyio_service import background_trio_service
    from multiaddr import Multiaddr

    listen, hosts, dhts, refused = Multiaddr("/ip4/127.0.0.1/tcp/0"), list[Any](), list[Any](), Counter[Any]()

    async def run_one(task_status: Any) -> None:
        host: Any = new_host(key_pair=create_new_key_pair(), listen_addrs=[listen])
        async with host.run(listen_addrs=[listen]):
            dht: Any = KadDHT(host, DHTMode.SERVER)
            dht._inbound_limiter.total_tokens = slots

            async def handle(stream: Any, is_first: bool = not dhts) -> None:
                if is_first and dht._inbound_limiter.available_tokens == 0:
                    refused[stream.muxed_conn.peer_id] += 1
                await dht.handle_stream(stream)

            host.set_stream_handler(PROTOCOL_ID, handle)
            async with background_trio_service(dht):
                hosts.append(host)
                dhts.append(dht)
                task_status.started()
                await trio.sleep_forever()

    def table_sizes() -> list[int]:
        return sorted(dht.get_routing_table_size() for dht in dhts)

    with trio.move_on_after(SECONDS * 2):
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                await nursery.start(run_one)
            first = PeerInfo(hosts[0].get_id(), hosts[0].get_transport_addrs())
            for host, dht in zip(hosts[1:], dhts[1:], strict=True):
                await host.connect(first)
                await dht.routing_table.add_peer(first)
            start = time.perf_counter()
            async with trio.open_nursery() as refreshing:
                for dht in dhts:
                    refreshing.start_soon(dht.refresh_routing_table)
            print(f"{count} hosts, {slots} DHT streams at a time; all refresh at once: {time.perf_counter() - start:.0f} s")
            print(f"  tables: {table_sizes()}")
            lonely = [host.get_id() for host, dht in zip(hosts, dhts, strict=True) if dht.get_routing_table_size() <= 1]
            print(f"  tables of one: {len(lonely)}; of those, reset by the first host: {sum(peer in refused for peer in lonely)}")
            knowing = sum(dht.routing_table.peer_in_table(peer) for dht in dhts for peer in lonely)
            print(f"  entries for them in all tables: {knowing}")
            for host, dht in zip(hosts, dhts, strict=True):
                if host.get_id() in lonely:
                    await dht.refresh_routing_table()
            print(f"  once those refreshed again, one by one: {table_sizes()}")
            nursery.cancel_scope.cancel()


# Discoveries.


def together(hosts: int, dht: bool) -> None:
    asyncio.run(_together(hosts, replace(LOOPBACK, dht=dht)))


async def _together(count: int, settings: DiscoverySettings) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(discover(Identity.create(), settings, Advertisement()))
        others = replace(settings, bootstrap=first.addresses)
        start = time.perf_counter()
        entering = [stack.enter_async_context(discover(Identity.create(), others, Advertisement())) for _ in range(count - 1)]
        nodes = [first, *[await each for each in entering]]
        for wanted in (min(8, count - 1), count - 1):
            await asyncio.gather(*(node.wait_for(wanted, SECONDS) for node in nodes))
            print(
                f"{count} hosts, DHT {settings.dht}: each knows {wanted} others after {time.perf_counter() - start:.1f} s",
                flush=True,
            )
        for after in (10, 30, 60) if settings.dht else ():
            await asyncio.sleep(max(0.0, after - (time.perf_counter() - start)))
            print(f"  tables of the DHT after {after} s: {sorted(node.figures().dht_table_size for node in nodes)}", flush=True)
        before = time.process_time()
        await asyncio.sleep(20)
        print(f"  CPU of one host among them, then: {(time.process_time() - before) / 20 / count * 100:.2f} %", flush=True)


def local(hosts: int) -> None:
    spawn = multiprocessing.get_context("spawn")
    found, over = spawn.Queue(), spawn.Queue()
    processes = [spawn.Process(target=_look_around, args=(hosts - 1, found, over), daemon=True) for _ in range(hosts)]
    for process in processes:
        process.start()
    for _ in processes:
        print(found.get(timeout=SECONDS))
    for _ in processes:
        over.put("over")
    for process in processes:
        process.join(SECONDS)


def _look_around(wanted: int, found: Queue[str], over: Queue[str]) -> None:
    async def scene() -> None:
        async with discover(Identity.create(), DiscoverySettings(dht=False), Advertisement()) as node:
            start = time.perf_counter()
            await node.wait_for(wanted, SECONDS)
            found.put(f"{node.addresses[0]} found {wanted} others by mDNS in {time.perf_counter() - start:.1f} s")
            await asyncio.to_thread(over.get, timeout=SECONDS)

    asyncio.run(scene())


def cost(seconds: float) -> None:
    for mdns, dht, tls in ((False, False, False), (True, True, False), (True, True, True)):
        process = multiprocessing.get_context("spawn").Process(target=_cost, args=(mdns, dht, tls, seconds))
        process.start()
        process.join()


def _cost(mdns: bool, dht: bool, tls: bool, seconds: float) -> None:
    if tls:
        certificate_of(Identity.create())  # whoever speaks TLS has loaded much of libp2p already

    async def scene() -> None:
        before, start = memory_mib(), time.perf_counter()
        async with discover(Identity.create(), replace(LOOPBACK, mdns=mdns, dht=dht), Advertisement()):
            up = time.perf_counter() - start
            await asyncio.sleep(5)
            spent, memory = time.process_time(), memory_mib()
            await asyncio.sleep(seconds)
            idle = (time.process_time() - spent) / seconds * 100
            print(f"mDNS {mdns}, DHT {dht}, TLS before {tls}:", end=" ")
            print(f"up in {up:.2f} s, +{memory - before:.0f} MiB, idle {idle:.2f} % of a core", flush=True)

    asyncio.run(scene())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["library", "together", "local", "cost"])
    parser.add_argument("--hosts", type=int, default=0, help="45; 3 for local")
    parser.add_argument("--slots", type=int, default=12, help="the library's own is 12")
    parser.add_argument("--no-dht", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    if given.what == "library":
        library(given.hosts or 45, given.slots)
    elif given.what == "together":
        together(given.hosts or 45, not given.no_dht)
    elif given.what == "local":
        local(given.hosts or 3)
    else:
        cost(given.seconds)


if __name__ == "__main__":
    main()
