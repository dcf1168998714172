"""Build of the Python guest: `python -m pangea.compute.runtime.build` (what `make runtime` calls).

No product code may import this room: what it makes is package data, pinned by its hash.
"""
