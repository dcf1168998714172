"""A world of thousands of nodes on one thread, from a seed; it runs the real orchestrator."""
