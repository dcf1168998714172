"""`Client` and `AsyncClient`: a node as programs hold it, for jobs and for calls."""
