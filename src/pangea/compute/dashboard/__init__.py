"""The live page of a node: what `pangea dashboard` serves.

It is a client of a node like any other, in a process of its own, so that nobody who looks can slow the node down. Views are
pure functions of what the node says (`overview`, `jobs`, `tasks`, `neighbourhood`); `app` turns them into pages and fragments
with templates that escape everything, `stream` tells counters to whoever looks, `guard` says who may look, and at what.
"""
