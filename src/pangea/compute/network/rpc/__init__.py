"""Cap'n Proto: the wire schema, its adapter, codecs, bounds, and content in blocks.

The only room that knows capnp.
"""
