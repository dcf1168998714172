"""Arrays, frames, files and plain values, each read and encoded in the form that chunks have.

Nothing of cutting enters: a format says what its bytes are, not where they are divided.
"""
