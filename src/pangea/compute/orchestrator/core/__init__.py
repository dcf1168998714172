"""What an orchestrator knows, hears and says: records, state, events, commands, messages, timers, transitions.

No decision enters.
"""
