"""What looks over all jobs and peers: who gets the next task, who is lost or late, what is stuck.

Nothing of one task's course is decided here: that is asked of the rooms below.
"""
