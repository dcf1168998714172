"""Links between clients and nodes, and between nodes: identity, RPC, peers, discovery.

No decision about jobs or tasks enters; messages are looked at before they are decoded.
"""
