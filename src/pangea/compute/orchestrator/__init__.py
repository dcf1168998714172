"""Decisions of a node in the tree: `machine.Orchestrator.handle(event, now=…)` returns commands.

Rooms, each knowing only those before it: rules, core, scheduling, judging, lifecycle, balancing; `machine` is on top of all.
Pure: no clock, no randomness but what is passed in, no I/O.
"""
