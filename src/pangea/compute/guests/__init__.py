"""Build jobs from sources in other languages: each by its own compiler, against guest ABI 1, with no import left.

Only sources and compilers are dealt with here; what a module does, and whether it is allowed, is the engine's to say.
"""
