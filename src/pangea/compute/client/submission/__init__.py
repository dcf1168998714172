"""A job on its way: to the embedded engine or to a node, and what the user holds meanwhile.

No definition and no format is made here.
"""
