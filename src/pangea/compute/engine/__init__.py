"""The engine: runs tasks in fresh sandboxes inside jailed processes. `engine.engine.Engine` is the door."""
