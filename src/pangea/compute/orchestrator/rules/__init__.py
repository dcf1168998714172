"""Rules over plain values: how heavy a job is, how large a task, what votes say, whom to trust.

No state of the orchestrator's enters: each rule can be read, and tested, by itself.
"""
