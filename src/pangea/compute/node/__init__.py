"""The node: a process that drives the orchestrator and the engine, serves clients, and loses nothing."""
