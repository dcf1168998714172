"""Frozen data that everyone shares: limits, options, outcomes, errors, framed lists. Imports nothing of ours."""
