"""A module below."""

DEEP = "deep"
