"""Frozen data that everyone shares: ids, limits, options, manifest, packets, outcomes, errors, reports, framed lists.

It imports nothing of ours, and nothing here reads a clock, draws, or does I/O.
"""
