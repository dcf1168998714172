"""Finding nodes: bootstrap lists, mDNS, Kademlia, in one thread that carries no data.

The only room, beside `identity`, that knows libp2p.
"""
