"""From a job's arrival to its report: intake, answers, the end.

Each change of a task's state is one of `core.transitions`.
"""
