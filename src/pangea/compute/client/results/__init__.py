"""Bytes that say how they were checked, and what they are as values; how both look in a notebook.

Nothing here asks a node or an engine for anything.
"""
