"""Sources of any kind become segments, lazily: what is read, how it is cut.

No job, no engine and no node may be known here; heavy libraries are imported when an input needs them.
"""
