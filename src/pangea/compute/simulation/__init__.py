"""A world of thousands of nodes on one thread, from a seed; it runs the real orchestrator.

No real clock, socket, process or engine enters: the same scenario gives the same run, event by event.
"""
