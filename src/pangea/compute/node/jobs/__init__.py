"""A job on a node, from its module and input to its receipt: cut, split, called on the engine, merged, reported.

Nothing of links, of callers or of the disk's layout enters.
"""
