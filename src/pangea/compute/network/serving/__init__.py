"""A node's own ends: sockets that are listened on, and the schema's methods over one session for each caller.

What a session answers is the node's business; nothing else in `network` may import this room.
"""
