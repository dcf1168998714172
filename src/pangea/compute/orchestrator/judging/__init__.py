"""Votes, checks, disputes and bans: what the owner of a job believes.

The rules are in `rules`; nothing here begins a job or ends one.
"""
