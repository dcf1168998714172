"""Decisions, and nothing but: pure functions and small pure state, no clock, no I/O."""
