"""Tasks in fresh sandboxes, inside jailed worker processes. `engine.engine.Engine` is the port that everybody else uses.

Whose job a task is, and what follows its end, isn't known here. wasmtime enters through `sandbox` alone.
"""
