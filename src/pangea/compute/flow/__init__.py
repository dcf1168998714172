"""The course of one job, written once for every driver: packs, chunks waiting, what follows a task's end, merges.

Pure: no clock, no I/O, nothing of processes or links. What it says follows from a job's manifest and data, never from how fast
or how many machines are. What drives it (an engine, a node, a receipt's check) stays outside.
"""
