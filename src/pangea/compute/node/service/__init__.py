"""A node as seen from outside: configuration, daemon, callers' sessions, metrics, logs.

Nothing below may import this room.
"""
