"""Rebuild the graph that `capture` wrote: functions, classes and values as they were, without running anything of the user's."""
