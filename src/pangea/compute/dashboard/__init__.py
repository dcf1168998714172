"""The live page: what `pangea dashboard` serves of a node, and `dashboard=True` of a program's own runs.

Of a node it is a client like any other, in a process of its own, so that nobody who looks can slow the node down. Views are
pure functions of what a `source` says (`overview`, `jobs`, `tasks`, `neighbourhood`); `app` turns them into pages and fragments
with templates that escape everything, `stream` tells counters to whoever looks, `guard` says who may look, and at what.
"""
