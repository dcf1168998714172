"""The daemon around the orchestrator: storage, below jobs, below tree, below service; `config` and `logs` are for all of them.

Decisions are the orchestrator's; here they are carried out.
"""
