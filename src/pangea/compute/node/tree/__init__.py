"""A node among nodes: parents, children, what travels between them, signed records, and the driver that does what is decided.

Nothing here judges: that is the orchestrator's. Nothing here knows clients.
"""
